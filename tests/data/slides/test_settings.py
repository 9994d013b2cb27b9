import pytest

from radpath.data.slides.settings import SlideSettings
from radpath.errors import SettingsError
from radpath.settings import parse_settings


def test_an_overlap_that_leaves_no_step_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^here: overlap_px is 64, which must be less than patch_px = 64$"):
        parse_settings(SlideSettings, {"patch_px": 64, "overlap_px": 64}, source="here")


def test_a_resolution_is_positive() -> None:
    with pytest.raises(SettingsError, match=r"setting 'um_per_px' is 0; it must be greater than 0"):
        parse_settings(SlideSettings, {"um_per_px": 0}, source="here")
