import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from radpath.data.morphology import CHOICES, Step, StepSettings, apply_step, apply_steps, luma, parse_step
from radpath.errors import MissingExtraError, SettingsError
from radpath.settings import parse_settings

TYPES = [np.uint8, np.uint16, np.float32]


def images(*, channels: tuple[int, ...] = ()) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda sides: (*sides, *channels))
    integers = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: arrays.arrays(kind, shapes))
    numbers = arrays.arrays(np.float32, shapes, elements=st.floats(-3000, 3000, width=32))
    return st.one_of(integers, numbers)


def within_disk(grey: np.ndarray, radius: int, *, smallest: bool) -> np.ndarray:
    """The definition, pixel by pixel: the extreme of all pixels of the image that are no farther than the radius."""
    rows, columns = np.indices(grey.shape)
    result = np.empty_like(grey)
    for row, column in np.ndindex(grey.shape):
        near = grey[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2]
        result[row, column] = near.min() if smallest else near.max()
    return result


@settings(max_examples=40, deadline=None)
@given(images(), st.integers(1, 4))
def test_morphology_is_the_extreme_within_a_disk_and_leaves_out_what_is_outside(image: np.ndarray, radius: int) -> None:
    eroded, dilated = within_disk(image, radius, smallest=True), within_disk(image, radius, smallest=False)
    expected = {
        "erosion": eroded,
        "dilation": dilated,
        "opening": within_disk(eroded, radius, smallest=False),
        "closing": within_disk(dilated, radius, smallest=True),
    }
    for name, truth in expected.items():
        result = apply_steps(image, [f"{name}({radius})"])
        assert result.dtype == image.dtype
        assert np.array_equal(result, truth), name


@settings(max_examples=25, deadline=None)
@given(images(channels=(3,)), st.sampled_from(["erosion(2)", "dilation(1)", "opening(1)", "closing(2)"]))
def test_morphology_of_colour_works_on_each_channel_by_itself(image: np.ndarray, step: str) -> None:
    alone = [apply_steps(np.ascontiguousarray(image[:, :, channel]), [step]) for channel in range(3)]
    assert np.array_equal(apply_steps(image, [step]), np.stack(alone, axis=2))


@settings(max_examples=30, deadline=None)
@given(images(), st.integers(1, 3))
def test_opening_and_closing_change_nothing_the_second_time_and_bracket_the_image(image: np.ndarray, r: int) -> None:
    opened, closed = apply_steps(image, [f"opening({r})"]), apply_steps(image, [f"closing({r})"])
    assert (opened <= image).all()
    assert (image <= closed).all()
    assert np.array_equal(apply_steps(opened, [f"opening({r})"]), opened)
    assert np.array_equal(apply_steps(closed, [f"closing({r})"]), closed)


def test_a_large_disk_agrees_with_scipy() -> None:
    image = np.random.default_rng(0).integers(0, 65536, (60, 45), dtype=np.uint16)
    disk = np.hypot(*np.mgrid[-7:8, -7:8]) <= 7
    assert np.array_equal(
        apply_steps(image, ["closing(7)"]),
        ndimage.grey_erosion(ndimage.grey_dilation(image, footprint=disk), footprint=disk),
    )


@pytest.mark.parametrize(
    ("kind", "levels", "expected"),
    [
        (np.uint8, [0, 102, 103, 255], [0, 0, 255, 255]),  # 0.4 x 255 = 102
        (np.uint16, [0, 26214, 26215, 65535], [0, 0, 65535, 65535]),  # 0.4 x 65535 = 26214
        (np.float32, [-1000, -200, -199, 1000], [0, 0, 1, 1]),  # -1000 + 0.4 x 2000 = -200
    ],
)
def test_a_threshold_is_a_share_of_the_range(kind: type, levels: list[int], expected: list[int]) -> None:
    result = apply_steps(np.array([levels], kind), ["threshold(0.4)"])
    assert result.dtype == kind
    assert result.tolist() == [expected]


def between_variance(grey: np.ndarray, threshold: float) -> float:
    """Otsu 1979, equation 14: the share of each group times the squared distance of their means."""
    dark, bright = grey[grey <= threshold].astype(float), grey[grey > threshold].astype(float)
    if not len(dark) or not len(bright):
        return 0.0
    return len(dark) * len(bright) * float(dark.mean() - bright.mean()) ** 2 / grey.size**2


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(st.sampled_from([np.uint8, np.uint16]), st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_no_threshold_separates_better_than_otsu(image: np.ndarray) -> None:
    binary = apply_steps(image, ["otsu"])
    assert set(np.unique(binary)) <= {0, np.iinfo(image.dtype).max}
    if image.min() == image.max():
        assert not binary.any()
        return
    dark, bright = image[binary == 0], image[binary != 0]
    assert dark.max() < bright.min()
    best = max(between_variance(image, float(level)) for level in np.unique(image))
    assert between_variance(image, float(dark.max())) == pytest.approx(best)


def test_otsu_separates_two_groups_of_floats_of_any_range() -> None:
    generator = np.random.default_rng(0)
    air, bone = generator.normal(-1000, 20, 300), generator.normal(700, 200, 300)
    image = np.concatenate([air, bone]).reshape(20, 30).astype(np.float32)
    assert np.array_equal(apply_steps(image, ["otsu"]) == 1, image > -500)


def test_otsu_separates_two_neighbouring_numbers() -> None:
    image = np.array([[1, np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    assert apply_steps(image, ["otsu"]).tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("level", [0, 1, 200])
def test_a_constant_image_is_defined(kind: type, level: int) -> None:
    image: np.ndarray = np.full((4, 5), level, kind)
    assert not apply_steps(image, ["otsu"]).any()
    for step in ("erosion(2)", "dilation(2)", "opening(2)", "closing(2)"):
        assert np.array_equal(apply_steps(image, [step]), image)
    is_bright = kind == np.uint8 and level == 200  # more than 0.4 of the type's range
    assert apply_steps(image, ["threshold(0.4)"]).all() == is_bright


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("step", ["otsu", "threshold(0.5)"])
def test_a_threshold_of_colour_is_that_of_its_luma(kind: type, step: str) -> None:
    image: np.ndarray = (np.random.default_rng(0).random((7, 8, 3)) * 255).astype(kind)
    result = apply_steps(image, [step])
    assert result.shape == (7, 8)
    assert np.array_equal(result, apply_steps(luma(image), [step]))


def test_luma_agrees_with_pillow() -> None:
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    difference = luma(image).astype(int) - np.asarray(Image.fromarray(image).convert("L")).astype(int)
    assert np.abs(difference).max() <= 1
    grey = np.repeat(np.arange(65536, dtype=np.uint16)[:, None, None], 3, axis=2)
    assert np.array_equal(luma(grey), grey[:, :, 0])


def test_steps_are_applied_in_order() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
    one_by_one = apply_step(apply_step(image, Step(name="otsu")), Step(name="opening", radius_px=2))
    assert np.array_equal(apply_steps(image, ["otsu", "opening(2)"]), one_by_one)
    assert not np.array_equal(apply_steps(image, ["opening(2)", "otsu"]), one_by_one)
    assert apply_steps(image, []) is image


def test_no_step_changes_the_image_it_was_given() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    before = image.copy()
    for step in CHOICES.values():
        apply_steps(image, [step])
    assert np.array_equal(image, before)


def test_every_example_is_a_step_and_spaces_do_not_matter() -> None:
    assert [parse_step(example).name for example in CHOICES.values()] == list(CHOICES)
    assert parse_step(" opening ( 3 ) ") == parse_step("opening(3)") == Step(name="opening", radius_px=3)
    assert parse_step("threshold(.25)") == Step(name="threshold", threshold=0.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("opning(3)", r"^'opning\(3\)' is no step; did you mean 'opening\(3\)'\?$"),
        ("median(3)", r"^'median\(3\)' is no step; known: threshold\(0\.4\), otsu, erosion\(1\), dilation\(1\), open"),
        ("", r"^'' is no step; known: "),
        ("opening(3", r"is no step; did you mean 'opening\(3\)'\?$"),
        ("opening", r"^'opening' needs a radius of 1 to 50 whole pixels; write for example closing\(3\)$"),
        ("closing(0)", "needs a radius of 1 to 50"),
        ("erosion(51)", "needs a radius of 1 to 50"),
        ("erosion(1.5)", "needs a radius of 1 to 50"),
        ("dilation(-1)", "needs a radius of 1 to 50"),
        ("otsu(3)", r"^'otsu\(3\)': otsu finds its threshold itself and takes no number; write otsu$"),
        ("threshold", r"^'threshold' needs a share of the range between 0 and 1; write for example threshold\(0\.4\)$"),
        ("threshold(1)", "needs a share"),
        ("threshold(nan)", "needs a share"),
        ("threshold(127)", "needs a share"),
        ("threshold(a)", "needs a share"),
    ],
)
def test_what_is_no_step_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_step(text)


def test_settings_check_steps_when_they_are_read() -> None:
    good = parse_settings(StepSettings, {"before": ["otsu", "opening(3)"]}, source="here")
    assert (good.before, good.after) == (("otsu", "opening(3)"), ())
    with pytest.raises(SettingsError, match=r"^here: after: 'opning\(3\)' is no step; did you mean 'opening\(3\)'\?$"):
        parse_settings(StepSettings, {"after": ["otsu", "opning(3)"]}, source="here")


def test_without_scikit_image_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.filters", None)
    image = np.array([[0, 255]], np.uint8)
    with pytest.raises(MissingExtraError, match=r"^step 'otsu' needs scikit-image, .* pip install 'radpath\[morph"):
        apply_steps(image, ["otsu"])
    assert apply_steps(image, ["threshold(0.5)"]).tolist() == [[0, 255]]
