import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.reporting.svg import (
    DARK_BACKGROUND,
    DATA_COLOURS,
    INK,
    LIGHT_BACKGROUND,
    colour_of,
    dash_of,
    house_style,
    new_figure,
    printable,
    shortened,
    to_svg,
)


def drawn(
    *, name: str = "figure-a", label: str = "words", title: str = "Title", description: str = "What it shows"
) -> str:
    with house_style():
        figure, axis = new_figure(120)
        axis.plot([0, 1], [0, 1], color=INK, label=label)
        axis.set_xlabel(label)
        return to_svg(figure, name=name, title=title, description=description)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", DATA_COLOURS)
@pytest.mark.parametrize("background", [LIGHT_BACKGROUND, DARK_BACKGROUND])
def test_every_data_colour_stands_out_on_light_and_on_dark(colour: str, background: str) -> None:
    low, high = sorted([luminance(colour), luminance(background)])
    assert (high + 0.05) / (low + 0.05) >= 3


def test_nine_classes_differ_in_colour_or_dash() -> None:
    assert len({(colour_of(index), str(dash_of(index))) for index in range(9)}) == 9


def test_ink_becomes_the_colour_of_the_text_around_it() -> None:
    svg = drawn()
    assert INK not in svg
    assert "currentColor" in svg


def test_a_figure_names_itself_for_readers_who_cannot_see_it() -> None:
    root = ET.fromstring(drawn(title="A & B", description="<1 %"))  # noqa: S314 - our own text
    title, description = root.find("{*}title"), root.find("{*}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert (title.text, description.text) == ("A & B", "<1 %")


def test_ids_of_two_figures_never_meet_and_every_reference_has_its_target() -> None:
    first, second = (set(re.findall(r'\sid="([^"]+)"', drawn(name=name))) for name in ("figure-a", "figure-b"))
    assert not first & second
    references = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', drawn()))
    assert references
    assert {one or other for one, other in references} <= first


def test_the_same_drawing_has_the_same_bytes_and_no_date() -> None:
    assert drawn() == drawn()
    assert "<metadata>" not in drawn()


def test_a_style_of_the_figure_stays_inside_it() -> None:
    assert "#figure-a *{" in drawn()
    assert '">*{' not in drawn()


def test_settings_of_the_user_do_not_reach_a_figure_and_are_kept() -> None:
    with mpl.rc_context({"font.size": 30, "text.color": "red"}):
        svg = drawn()
        assert mpl.rcParams["font.size"] == 30
    assert svg == drawn()


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=12))
def test_any_label_gives_well_formed_svg(label: str) -> None:
    ET.fromstring(drawn(label=printable(label)))  # noqa: S314 - our own text


@given(st.text(max_size=60), st.integers(3, 30))
def test_a_shortened_text_keeps_its_limit_and_its_start(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert len(short) <= limit
    assert len(text) > limit or short == printable(text)
