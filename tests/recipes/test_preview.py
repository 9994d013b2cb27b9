"""The contact sheet shows the pixels that training sees, from a run, an experiment or a folder of images."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.data.synthetic import SyntheticStudy
from radpath.errors import DataError
from radpath.recipes.preview import NUM_DRAWS, hatch_padding, preview

Program = Callable[..., "subprocess.CompletedProcess[str]"]
TINY = ["model.backbone=test_resnet", "model.weights=none"]


@pytest.mark.parametrize("kind", ["run", "experiment", "images"])
def test_a_sheet_is_made_from_a_run_an_experiment_or_images(
    finished_run: Path, small_study: SyntheticStudy, program: Program, tmp_path: Path, kind: str
) -> None:
    targets = {"run": finished_run, "experiment": finished_run / "experiment.toml", "images": small_study.images}
    sets = [word for wish in TINY for word in ("--set", wish)]
    result = program("preview", targets[kind], *sets, "--out", tmp_path / "look")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"Preview: {tmp_path / 'look' / 'preview.png'}\n"
    assert [path.name for path in (tmp_path / "look").iterdir()] == ["preview.png"]
    with Image.open(tmp_path / "look" / "preview.png") as sheet:
        assert sheet.width > 6 * 192
        assert sheet.height > (2 + NUM_DRAWS) * 192


def test_each_change_that_is_switched_on_has_a_row_of_its_own(small_study: SyntheticStudy, tmp_path: Path) -> None:
    still = [f"augmentation.{name}=0" for name in ("rotation_deg", "scale", "shift", "brightness", "contrast")]
    wishes = [*TINY, *still, "augmentation.flips=none", "pixels.size=fixed", "pixels.size_px=32"]
    with Image.open(preview(small_study.images, assignments=wishes, out=tmp_path)) as sheet:
        least = sheet.height
    wishes += ["augmentation.flips=dihedral", "augmentation.noise=0.1", "augmentation.hue_deg=20"]
    with Image.open(preview(small_study.images, assignments=wishes, out=tmp_path)) as sheet:
        added = sheet.height - least
    assert 3 * 192 < added < 3 * 300


def test_without_a_folder_the_sheet_is_written_beside_the_runs(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert preview(finished_run / "experiment.toml", assignments=TINY, out=None) == Path("runs/run-preview/preview.png")
    assert Path("runs/run-preview/preview.png").is_file()


def test_padding_is_drawn_as_stripes_and_the_image_as_it_is() -> None:
    canvas = np.zeros((56, 84, 3), dtype=np.uint8)
    canvas[:30, :40] = np.random.default_rng(0).integers(0, 256, (30, 40, 3))
    hatched = hatch_padding(canvas, height_px=30, width_px=40)
    assert np.array_equal(hatched[:30, :40], canvas[:30, :40])
    for padding in (hatched[30:], hatched[:, 40:]):
        assert len(np.unique(padding)) == 2
        assert padding.min() > 0
    assert hatch_padding(canvas[:, :, :1], height_px=30, width_px=40).shape == (56, 84)


def test_images_of_16_bits_are_shown_from_darkest_to_brightest(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        levels = np.linspace(1000, 3000, 48 * 40).reshape(40, 48).astype(np.uint16)
        Image.fromarray(levels + number).save(tmp_path / "images" / f"{number}.png")
    path = preview(tmp_path / "images", assignments=TINY, out=tmp_path / "look")
    with Image.open(path) as sheet:
        shown = np.array(sheet.convert("L"))
    first = shown[40:180, 190:360]  # inside the first image, as the file holds it
    assert first.max() - first.min() > 150


def test_a_folder_without_usable_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"has no image that can be used; `radpath scan` says why$"):
        preview(tmp_path / "images", assignments=TINY, out=tmp_path / "look")
    assert not (tmp_path / "look").exists()


def test_images_that_cannot_be_decoded_are_left_out_of_the_sheet(small_study: SyntheticStudy, tmp_path: Path) -> None:
    images = tmp_path / "images"
    whole = min(small_study.images.rglob("*.png"))
    images.mkdir()
    shutil.copy(whole, images / "whole.png")
    damaged = bytearray(whole.read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    (images / "damaged.png").write_bytes(damaged)
    path = preview(images, assignments=TINY, out=tmp_path / "look")
    with Image.open(path) as sheet:
        assert sheet.width < 2 * 192 + 200  # one column
