"""What is drawn depends on seed, epoch and image only, and spreads evenly over its range."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from radpath.data.augmentation.draws import draw_changes, draw_views, split_mix, uniforms
from radpath.data.augmentation.settings import RANGES, AugmentationSettings, ChanceSettings, Flips, Operation

WORD = (1 << 64) - 1

EVERYTHING: dict[str, Any] = {
    "flips": "dihedral",
    "rotation_deg": 30.0,
    "scale": 0.2,
    "shift": 0.3,
    "shear_deg": 10.0,
    "crop": 0.5,
    "stain": 0.1,
    "brightness": 0.2,
    "contrast": 0.25,
    "saturation": 0.3,
    "hue_deg": 20.0,
    "blur": 0.01,
    "noise": 0.05,
    "occlusion": 0.2,
}
MADE_BY: dict[Operation, str] = {
    "rotation": "angles_deg",
    "scale": "magnifications",
    "shift": "shifts",
    "shear": "shears_deg",
    "crop": "crop_sides",
    "stain": "stain_factors",
    "brightness": "brightness",
    "contrast": "contrast",
    "saturation": "saturation",
    "hue": "hues_deg",
    "blur": "blur",
    "noise": "noise",
    "occlusion": "occlusion",
}


def always(**values: Any) -> AugmentationSettings:
    chances = ChanceSettings(**dict.fromkeys(RANGES, 1.0))
    return AugmentationSettings(**{**EVERYTHING, "chance": chances, **values})


def one_by_one(seed: int, count: int) -> list[int]:
    """SplitMix64 as its authors wrote it: a state that is advanced, one number after another."""
    state, numbers = seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & WORD
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & WORD
        numbers.append(mixed ^ (mixed >> 31))
    return numbers


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, (1 << 63) - 1), places=st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_the_numbers_at_any_places_are_those_of_the_sequence(seed: int, places: list[int]) -> None:
    expected = one_by_one(seed, 31)
    assert split_mix(seed, np.array(places, dtype=np.uint64)).tolist() == [expected[place] for place in places]


def test_a_large_position_draws_without_a_warning() -> None:
    drawn = uniforms(np.array([2**40, 2**40 + 1]), seed=2**31, epoch=10**6)
    assert drawn.shape == (2, 64)
    assert len(set(drawn.ravel())) == 128


def test_numbers_are_even_and_independent_across_images_epochs_and_purposes() -> None:
    drawn = np.stack([uniforms(np.arange(100), seed=3, epoch=epoch) for epoch in range(20)])
    assert 0 <= drawn.min() < 1e-4 < 1 - 1e-4 < drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    for one, other in [(drawn[:, 1:], drawn[:, :-1]), (drawn[1:], drawn[:-1]), (drawn[..., 1:], drawn[..., :-1])]:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)


@settings(max_examples=25, deadline=None)
@given(
    positions=st.lists(st.integers(0, 10**6), min_size=1, max_size=6),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 99),
)
def test_an_image_draws_the_same_alone_and_among_others(positions: list[int], seed: int, epoch: int) -> None:
    together = draw_changes(np.array(positions), always(), seed=seed, epoch=epoch)
    for place, position in enumerate(positions):
        alone = draw_changes(np.array([position]), always(), seed=seed, epoch=epoch)
        for field in dataclasses.fields(alone):
            if field.name != "operations":
                assert np.array_equal(getattr(together, field.name)[[place]], getattr(alone, field.name)), field.name
    views = draw_views(np.array(positions), always(), seed=seed, epoch=epoch)
    assert np.array_equal(views, together.views)


@pytest.mark.parametrize(("flips", "num_views"), [("none", 1), ("horizontal", 2), ("dihedral", 8)])
def test_every_view_is_drawn_about_equally_often(flips: Flips, num_views: int) -> None:
    counts = np.bincount(draw_views(np.arange(800), always(flips=flips), seed=0, epoch=1))
    assert len(counts) == num_views
    assert stats.chisquare(counts).pvalue > 1e-3 if num_views > 1 else counts[0] == 800


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("angles_deg", -30, 30),
        ("magnifications", 0.8, 1.2),
        ("shifts", -0.3, 0.3),
        ("shears_deg", -10, 10),
        ("crop_sides", np.sqrt(0.5), 1),
        ("crop_places", -1, 1),
        ("stain_factors", 0.9, 1.1),
        ("stain_offsets", -0.1, 0.1),
        ("brightness", -0.2, 0.2),
        ("contrast", 0.75, 1.25),
        ("saturation", 0.7, 1.3),
        ("hues_deg", -20, 20),
        ("blur", 0, 0.01),
        ("noise", 0, 0.05),
        ("occlusion", 0, 0.2),
        ("occlusion_shapes", 0.5, 2),
        ("occlusion_places", 0, 1),
    ],
)
def test_values_fill_their_range_and_never_leave_it(name: str, low: float, high: float) -> None:
    values = getattr(draw_changes(np.arange(2000), always(), seed=1, epoch=2), name)
    assert low <= values.min() < low + 0.02 * (high - low)
    assert high >= values.max() > high - 0.02 * (high - low)
    assert len(np.unique(values)) == values.size


@pytest.mark.parametrize("operation", RANGES)
def test_a_change_is_made_as_often_as_its_chance_says_and_the_rest_stay_as_they_are(operation: Operation) -> None:
    rare = always(chance=ChanceSettings(**{**dict.fromkeys(RANGES, 1.0), operation: 0.25}))
    still = always(**{RANGES[operation]: 0.0})
    values, neutral = (
        getattr(draw_changes(np.arange(2000), settings, seed=0, epoch=1), MADE_BY[operation]).reshape(2000, -1)
        for settings in (rare, still)
    )
    assert len(np.unique(neutral)) == 1
    is_made = (values != neutral[0, 0]).all(axis=1)
    assert stats.binomtest(int(is_made.sum()), 2000, 0.25).pvalue > 1e-3
    assert (values[~is_made] == neutral[0, 0]).all()


def test_one_change_draws_the_same_whatever_the_others_do() -> None:
    alone = draw_changes(np.arange(9), always().only("shear"), seed=0, epoch=1)
    together = draw_changes(np.arange(9), always(), seed=0, epoch=1)
    assert np.array_equal(alone.shears_deg, together.shears_deg)
    assert alone.operations == {"shear"}
    assert together.operations == set(RANGES)
