"""The settings of DICOM: windows by name and number, and which frames are taken."""

import pytest

from radpath.data.dicom.settings import CLINICAL_WINDOWS, DicomSettings, WindowChoice, read_windows
from radpath.errors import SettingsError
from radpath.settings import parse_settings


@pytest.mark.parametrize("name", CLINICAL_WINDOWS)
def test_a_clinical_window_is_known_by_its_name(name: str) -> None:
    (choice,) = read_windows(name.title())
    assert choice.is_clinical
    assert choice.centre_and_width == CLINICAL_WINDOWS[name]


def test_a_window_of_the_file_is_known_by_number_or_explanation() -> None:
    assert [read_windows(text)[0].of_file for text in ("file", "file:2", "file:Lung Low")] == [0, 2, "lung low"]


def test_centre_and_width_are_numbers() -> None:
    assert read_windows("-600.5 / 1500") == (WindowChoice(text="-600.5 / 1500", centre_and_width=(-600.5, 1500.0)),)


def test_none_means_no_window() -> None:
    assert read_windows("none") == ()


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("lungs", "'lungs' is no window; known: file, none, lung"),
        ("file:", "'file:' is no window"),
        ("lung + bone", "'lung \\+ bone' joins 2 windows; one, or three"),
        ("lung + none + bone", "'none' is no window"),
        ("40/0.5", "the window '40/0.5' has width 0.5; it must be 1 or more"),
    ],
)
def test_a_window_that_means_nothing_is_refused(window: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(DicomSettings, {"window": window}, source="experiment.toml")


@pytest.mark.parametrize(
    ("frames", "chosen"), [("all", [0, 1, 2, 3]), ("first", [0]), ("middle", [2]), (3, [3]), ("3", [3]), (4, [])]
)
def test_frames_are_chosen_by_word_or_number(frames: str | int, chosen: list[int]) -> None:
    settings = parse_settings(DicomSettings, {"frames": frames}, source="experiment.toml")
    assert list(settings.chosen_frames(4)) == chosen


@pytest.mark.parametrize("frames", ["last", "-1", -1, ""])
def test_unknown_frames_are_refused(frames: str | int) -> None:
    with pytest.raises(SettingsError, match="names no frames; write all, first, middle or a number from 0"):
        parse_settings(DicomSettings, {"frames": frames}, source="experiment.toml")
