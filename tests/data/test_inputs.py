"""The settings that say where images and labels are."""

from pathlib import Path

import pytest

from radpath.data.inputs import DataSettings
from radpath.errors import SettingsError
from radpath.settings import parse_settings, render_toml


def test_values_as_toml_holds_them_are_read() -> None:
    values = {"images": "images", "labels": "labels.csv", "name_pattern": "(?P<case>[0-9]+)", "transparency": "black"}
    settings = parse_settings(DataSettings, values, source="experiment.toml")
    assert settings.images == Path("images")
    assert settings.labels == Path("labels.csv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name_pattern": "("}, r"^here: name_pattern: '\(' is not a regular expression: missing \)"),
        ({"name_pattern": "[0-9]+"}, r"name_pattern: '\[0-9\]\+' has no named group; write for example"),
        ({"max_pixels": 0}, r"setting 'max_pixels' is 0"),
        ({"transparency": "grey"}, r"setting 'transparency' is 'grey'; it must be 'white', 'black' or 'refuse'"),
        ({"label": "x"}, r"unknown setting 'label'; did you mean 'labels'"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(DataSettings, {"images": "images", **values}, source="here")


def test_every_setting_is_explained_in_the_file_that_is_written() -> None:
    text = render_toml(DataSettings(images=Path("images")), heading="data")
    assert all(DataSettings.model_fields[name].description for name in DataSettings.model_fields)
    assert "# labels is not set" in text
