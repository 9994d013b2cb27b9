"""Evidence over images: the colours of one map, the image beside it, and the bar."""

import io

import numpy as np
from PIL import Image

from radpath.reporting.heat_map import in_colours, overlay, pair, panel, sheet_of

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_brightness_grows_with_evidence_on_one_grey() -> None:
    strengths = np.linspace(0, 1, 50)[None]
    drawn = overlay(np.full((1, 50), 128, np.uint8), strengths).astype(float)
    luminance = drawn[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luminance) > -0.6).all()  # steps of eight bits
    assert luminance[-1] - luminance[0] > 50


def test_colours_of_the_image_do_not_reach_the_overlay() -> None:
    strengths = np.zeros((20, 30))
    luma = (COLOURS @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
    assert np.abs(overlay(COLOURS, strengths).astype(int) - overlay(luma, strengths)).max() <= 1


def test_a_pair_is_the_image_and_its_overlay() -> None:
    both = pair(GREY, np.ones((20, 30)))
    assert np.array_equal(both[:20], in_colours(GREY))
    assert np.array_equal(both[-20:], overlay(GREY, np.ones((20, 30))))


def test_a_panel_shows_image_overlay_and_bar() -> None:
    content = panel(COLOURS, np.linspace(0, 1, 600).reshape(20, 30), title="Grad-CAM for 'b'", caption="b.png")
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    found = {tuple(colour) for colour in shown.reshape(-1, 3)}
    assert {tuple(colour) for colour in COLOURS.reshape(-1, 3)} <= found
    assert {tuple(colour) for colour in overlay(np.full((1, 2), 128, np.uint8), np.array([[0.0, 1.0]]))[0]} <= found
    assert content == panel(COLOURS, np.linspace(0, 1, 600).reshape(20, 30), title="Grad-CAM for 'b'", caption="b.png")


def test_a_sheet_has_all_pairs() -> None:
    pairs = [pair(GREY, np.full((20, 30), share)) for share in np.linspace(0, 1, 8)]
    sheet = Image.open(io.BytesIO(sheet_of(pairs, [f"image {place}" for place in range(8)])))
    assert sheet.height > 2 * sheet_height_of_one()


def sheet_height_of_one() -> int:
    return Image.open(io.BytesIO(sheet_of([pair(GREY, np.zeros((20, 30)))], ["one"]))).height // 2
