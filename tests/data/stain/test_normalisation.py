import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from radpath.data.stain.macenko import MacenkoStains
from radpath.data.stain.normalisation import Method, StainReference, StainSettings, fit_stain, normalise, spread_evenly
from radpath.errors import DataError, SettingsError
from radpath.settings import parse_settings

Draw = Callable[..., np.ndarray]
METHODS: tuple[Method, ...] = ("macenko", "reinhard")
GLASS = np.full((40, 40, 3), 243, np.uint8)
PINK = np.full((40, 40, 3), (200, 90, 150), np.uint8)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_images_does_not_matter(draw_tissue: Draw, method: Method) -> None:
    images = [GLASS, *(draw_tissue(seed=seed, strength=0.7 + seed / 5) for seed in range(3))]
    references = {fit_stain(order, method).model_dump_json() for order in itertools.permutations(images)}
    assert len(references) == 1


@pytest.mark.parametrize("method", METHODS)
def test_images_come_one_at_a_time_and_what_shows_no_stain_is_counted(draw_tissue: Draw, method: Method) -> None:
    def stream() -> Iterator[np.ndarray]:
        yield from (GLASS, draw_tissue(seed=1), PINK, GLASS)

    reference = fit_stain(stream(), method)
    assert (reference.num_images, reference.num_without_tissue, reference.num_of_one_colour) == (1, 2, 1)
    assert reference.typical == fit_stain([draw_tissue(seed=1)], method).typical


def test_a_few_odd_images_decide_nothing(draw_tissue: Draw) -> None:
    usual = [draw_tissue(seed=seed) for seed in range(7)]
    green_pen = draw_tissue(haematoxylin=np.array([0.9, 0.2, 0.4]), strength=1.5)
    plain, disturbed = (fit_stain(images, "macenko").typical for images in (usual, [*usual, green_pen, green_pen]))
    assert isinstance(plain, MacenkoStains)
    assert isinstance(disturbed, MacenkoStains)
    assert np.abs(plain.colours - disturbed.colours).max() < 0.02
    assert disturbed.strengths == pytest.approx(plain.strengths, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_images_of_two_laboratories_become_alike(draw_tissue: Draw, method: Method) -> None:
    ours = [draw_tissue(seed=seed) for seed in range(3)]
    theirs = draw_tissue(seed=9, haematoxylin=np.array([0.45, 0.75, 0.45]), strength=0.7)
    result = normalise(theirs, fit_stain(ours, method))
    assert result.unchanged is None
    typical_colour = np.mean([image.mean(axis=(0, 1)) for image in ours], axis=0)
    distance_before = np.abs(theirs.mean(axis=(0, 1)) - typical_colour).max()
    assert np.abs(result.image.mean(axis=(0, 1)) - typical_colour).max() < distance_before / 8


@pytest.mark.parametrize("method", METHODS)
def test_an_image_without_a_stain_stays_as_it_is_with_the_reason(draw_tissue: Draw, method: Method) -> None:
    reference = fit_stain([draw_tissue()], method)
    for image, why in ((GLASS, "no tissue"), (PINK, "one colour")):
        result = normalise(image, reference)
        assert result.image is image
        assert result.unchanged == why


@pytest.mark.parametrize("method", METHODS)
def test_a_reference_comes_back_from_json_exactly(draw_tissue: Draw, method: Method) -> None:
    reference = fit_stain([draw_tissue(), GLASS], method)
    again = StainReference.model_validate_json(reference.model_dump_json())
    assert again == reference
    assert np.array_equal(normalise(draw_tissue(seed=3), again).image, normalise(draw_tissue(seed=3), reference).image)


@pytest.mark.parametrize(("key", "value"), [("num_images", "many"), ("typical", {"method": "vahadane"}), ("extra", 1)])
def test_a_reference_that_was_tampered_with_is_refused(draw_tissue: Draw, key: str, value: object) -> None:
    values = {**fit_stain([draw_tissue()], "macenko").model_dump(mode="json"), key: value}
    with pytest.raises(ValidationError):
        StainReference.model_validate(values)


@pytest.mark.parametrize("method", METHODS)
def test_images_without_any_stain_are_refused(method: Method) -> None:
    message = (
        r"^stain normalisation found no stain .* of 3 training images, 2 show no tissue and 1 only one colour; set "
    )
    with pytest.raises(DataError, match=message):
        fit_stain([GLASS, PINK, GLASS], method)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200), st.integers(1, 50))
def test_a_choice_is_spread_evenly_in_order_without_repetition(total: int, number: int) -> None:
    chosen = spread_evenly(range(total), number)
    assert len(chosen) == min(total, number)
    assert chosen == sorted(set(chosen))
    if len(chosen) > 1:
        gaps = np.diff(chosen)
        assert gaps.max() - gaps.min() <= 1


def test_another_method_is_refused() -> None:
    assert parse_settings(StainSettings, {}, source="here").method == "none"
    with pytest.raises(SettingsError, match=r"^here: setting 'method' is 'vahadane'; it must be 'none', 'macenko' or"):
        parse_settings(StainSettings, {"method": "vahadane"}, source="here")
