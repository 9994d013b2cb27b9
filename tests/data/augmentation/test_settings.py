"""Ranges of zero and chances of zero switch a change off; what is impossible is refused."""

from typing import Any

import pytest

from radpath.data.augmentation.settings import RANGES, AugmentationSettings, ChanceSettings, Operation
from radpath.errors import SettingsError
from radpath.settings import parse_settings

OFF: dict[str, Any] = dict.fromkeys(RANGES.values(), 0.0)


def test_with_every_range_at_zero_only_flips_are_left() -> None:
    settings = AugmentationSettings(**OFF)
    assert settings.flips_only
    assert settings.operations == ()


@pytest.mark.parametrize("operation", RANGES)
def test_any_other_change_makes_views_too_few_to_keep(operation: Operation) -> None:
    settings = AugmentationSettings(**{**OFF, RANGES[operation]: 0.03})
    assert not settings.flips_only
    assert settings.operations == (operation,)
    assert settings.range_of(operation) == 0.03


@pytest.mark.parametrize("operation", RANGES)
def test_a_chance_of_zero_switches_a_change_off_as_a_range_of_zero_does(operation: Operation) -> None:
    settings = AugmentationSettings(**{**OFF, RANGES[operation]: 0.03}, chance=ChanceSettings(**{operation: 0.0}))
    assert settings.flips_only
    assert settings.range_of(operation) == 0


def test_every_change_has_a_range_and_a_chance() -> None:
    assert set(RANGES) == set(ChanceSettings.model_fields)
    assert {*RANGES.values(), "flips", "chance"} == set(AugmentationSettings.model_fields)


def test_one_change_can_be_looked_at_alone() -> None:
    settings = AugmentationSettings(noise=0.1, chance=ChanceSettings(noise=0.3))
    alone = settings.only("noise")
    assert alone.operations == ("noise",)
    assert (alone.flips, alone.noise, alone.chance.noise) == ("none", 0.1, 0.3)
    assert settings.only(flips="dihedral").flips == "dihedral"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flips": "vertical"}, r"'flips' is 'vertical'; it must be 'none', 'horizontal' or 'dihedral'"),
        ({"scale": 1.0}, r"'scale' is 1\.0; it must be less than 1"),
        ({"rotation_deg": 181}, r"'rotation_deg' is 181; it must be less than or equal to 180"),
        ({"brightness": -0.1}, r"'brightness' is -0\.1; it must be greater than or equal to 0"),
        ({"blur": 0.2}, r"'blur' is 0\.2; it must be less than or equal to 0\.05"),
        ({"chance": {"noise": 1.5}}, r"'chance\.noise' is 1\.5; it must be less than or equal to 1"),
        ({"chance": {"nois": 0.5}}, r"unknown setting 'chance\.nois'; did you mean 'chance\.noise'\?"),
    ],
)
def test_impossible_changes_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(AugmentationSettings, wrong, source="test")
