"""Settings of explanations are bounded where a number would make no sense."""

import pytest

from radpath.errors import SettingsError
from radpath.explanation.settings import ExplanationSettings
from radpath.settings import parse_settings


@pytest.mark.parametrize(("key", "value"), [("window", 0.6), ("steps", 1), ("method", "gradcam")])
def test_what_makes_no_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"setting '{key}' is"):
        parse_settings(ExplanationSettings, {key: value}, source="here")
