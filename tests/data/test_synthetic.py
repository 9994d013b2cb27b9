import csv
import dataclasses
import inspect
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from radpath import files
from radpath.data.synthetic import (
    KINDS,
    NAME_PATTERN,
    STAINS,
    FaultKind,
    Kind,
    PlantedFault,
    SizeRange,
    Stain,
    SyntheticStudy,
    Tint,
    draw_sizes,
    draw_tissue,
    write_synthetic,
)
from radpath.data.synthetic.exact import bell_shaped, half_circle, shuffled
from radpath.data.synthetic.tissue import ARCHITECTURES, architecture_of
from radpath.errors import SettingsError, StorageError

TINY = SizeRange(smallest_px=24, median_px=32, largest_px=48)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStudy:
    """A study with planted faults; read it, do not change it."""
    folder = tmp_path_factory.mktemp("faulty") / "study"
    return write_synthetic(folder, cases_per_class=2, images_per_case=(2, 3), seed=5, sizes=TINY)


@dataclasses.dataclass(frozen=True)
class Sample:
    images: list[np.ndarray]
    truth: np.ndarray
    cases: np.ndarray


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The decoded images of a clean study with enough cases to train on."""
    folder = tmp_path_factory.mktemp("clean")
    sizes = SizeRange(smallest_px=40, median_px=64, largest_px=112)
    written = write_synthetic(folder, cases_per_class=14, images_per_case=(2, 2), seed=8, sizes=sizes, faults=False)
    assert written.faults == ()
    return Sample(
        images=[decoded(written.images / name) for name in written.truth],
        truth=np.array(list(written.truth.values())),
        cases=np.array([name[: len("case_000")] for name in written.truth]),
    )


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def draw(kind: Kind, *, seed: int = 1, height: int = 40, width: int = 48, stain: Stain = "he") -> np.ndarray:
    return draw_tissue(kind, height_px=height, width_px=width, stain=stain, rng=np.random.default_rng(seed))


def fault_of(study: SyntheticStudy, kind: FaultKind) -> PlantedFault:
    (fault,) = (fault for fault in study.faults if fault.kind == kind)
    return fault


def label_rows(study: SyntheticStudy) -> list[tuple[str, str]]:
    with study.labels.open(newline="") as table:
        header, *rows = csv.reader(table)
    assert header == ["case", "label"]
    return [(case, label) for case, label in rows]


def case_of(study: SyntheticStudy, name: str) -> str:
    match = re.fullmatch(study.name_pattern, name)
    assert match is not None
    return match["case"]


def accuracy(classifier: ClassifierMixin, features: list[list[float]], sample: Sample) -> float:
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    scores = cross_val_score(
        make_pipeline(StandardScaler(), classifier), np.array(features), sample.truth, groups=sample.cases, cv=folds
    )
    return float(scores.mean())


# Drawing


@pytest.mark.parametrize(
    ("kind", "stain", "digest"),
    [
        ("normal", "he", "36e379b6aa5a7a939235f476884df99f"),
        ("benign", "melan", "692b248b1a2a0715aa043d34cac584ac"),
        ("in_situ", "sox10", "ce070c28db1619e378919447a08b4b85"),
        ("invasive", "he", "2d0dd55c066f31aab2d900754e8364c0"),
    ],
)
def test_an_image_has_the_same_pixels_on_every_machine(kind: Kind, stain: Stain, digest: str) -> None:
    assert files.digest_bytes(draw(kind, stain=stain, height=70, width=90).tobytes()) == digest


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    stain=st.sampled_from(STAINS),
    sides=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    drift=st.floats(-1, 1),
    seed=st.integers(0, 999),
)
def test_any_size_can_be_drawn_and_drawn_again(
    kind: Kind, stain: Stain, sides: tuple[int, int], drift: float, seed: int
) -> None:
    height, width = sides
    first, second = (
        draw_tissue(kind, height_px=height, width_px=width, stain=stain, rng=np.random.default_rng(seed), drift=drift)
        for _ in range(2)
    )
    assert first.shape == (height, width, 3)
    assert first.dtype == np.uint8
    assert (first == second).all()


@settings(max_examples=15, deadline=None)
@given(stain=st.sampled_from(STAINS), seed=st.integers(0, 999))
def test_the_mean_colour_depends_on_the_tint_and_not_on_the_kind(stain: Stain, seed: int) -> None:
    tint = Tint.drawn(np.random.default_rng(seed))
    means = [
        draw_tissue(kind, height_px=40, width_px=40, stain=stain, rng=np.random.default_rng(seed), tint=tint).mean(
            axis=(0, 1)
        )
        for kind in KINDS
    ]
    assert np.ptp(means, axis=0).max() < 0.5  # what rounding to whole levels leaves


def test_kinds_seeds_stains_and_tints_change_the_pixels() -> None:
    pictures = [draw(kind) for kind in KINDS]
    pictures += [draw("normal", seed=2), draw("normal", stain="melan"), draw("normal", stain="sox10")]
    pictures.append(
        draw_tissue(
            "normal", height_px=40, width_px=48, stain="he", rng=np.random.default_rng(1), tint=Tint(contrast=0.8)
        )
    )
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_a_large_image_shows_more_glands_of_the_same_size_rather_than_larger_ones() -> None:
    # Lumens are the bright spots; their size must not grow with the image.
    areas = []
    for side in (96, 256):
        bright = draw("normal", height=side, width=side).min(axis=2) > 205
        spots, count = ndimage.label(ndimage.binary_opening(bright, iterations=3))
        areas.append(float(np.median(np.bincount(spots.ravel())[1:])) if count else 0.0)
    assert areas[0] == pytest.approx(areas[1], rel=0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "bening"}, r"^unknown kind of tissue 'bening'; known: normal, benign, in_situ, invasive$"),
        ({"stain": "h&e"}, r"^unknown stain 'h&e'; known: he, melan, sox10$"),
        ({"height_px": 0}, r"^an image of 0 x 8 px cannot be drawn; both sides must be at least 1$"),
        ({"drift": 1.5}, r"^drift is 1.5; it must lie between -1 and 1$"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"kind": "benign", "height_px": 8, "width_px": 8, "stain": "he", "drift": 0.0}
    arguments |= {"rng": np.random.default_rng(1), **change}
    # Unwrapped, since the type checker of the test run would refuse an unknown word before the function does.
    unchecked = inspect.unwrap(draw_tissue)
    with pytest.raises(SettingsError, match=message):
        unchecked(arguments.pop("kind"), **arguments)


def test_drift_moves_towards_the_neighbour_and_stays_inside_the_order() -> None:
    assert architecture_of("in_situ") == ARCHITECTURES["in_situ"]
    assert architecture_of("in_situ", drift=-1.0) == ARCHITECTURES["benign"]
    assert architecture_of("in_situ", drift=1.0) == ARCHITECTURES["invasive"]
    assert architecture_of("normal", drift=-0.3) == architecture_of("normal", drift=0.3)
    assert architecture_of("invasive", drift=-0.3) == architecture_of("invasive", drift=0.3)


# Random numbers


def test_bell_shaped_numbers_are_nearly_normal() -> None:
    numbers = bell_shaped(np.random.default_rng(1), 20_000)
    assert np.quantile(numbers, [0.05, 0.5, 0.95]) == pytest.approx([-1.645, 0, 1.645], abs=0.04)


@given(count=st.integers(0, 60), seed=st.integers(0, 99))
def test_a_shuffle_keeps_every_number(count: int, seed: int) -> None:
    assert sorted(shuffled(np.random.default_rng(seed), count)) == list(range(count))


def test_directions_have_length_one() -> None:
    y, x = half_circle(np.random.default_rng(1), 1000)
    assert np.hypot(y, x) == pytest.approx(1, abs=1e-6)
    assert x.min() >= -1e-6


# Sizes


def test_sizes_follow_the_quantiles_of_the_study_that_they_imitate() -> None:
    sizes = SizeRange(smallest_px=50, median_px=191, largest_px=7576)
    drawn = draw_sizes(20_000, sizes=sizes, rng=np.random.default_rng(3))
    for sides in drawn.T:
        assert np.quantile(sides, [0.05, 0.5, 0.95]) == pytest.approx([72, 191, 560], rel=0.06)
        assert sides.min() == 50
        assert sides.max() > 1200
    assert np.quantile(drawn[:, 0] / drawn[:, 1], [0, 1]) == pytest.approx([1, 1], abs=0.2)


@settings(max_examples=25, deadline=None)
@given(limits=st.lists(st.integers(1, 500), min_size=3, max_size=3).map(sorted), seed=st.integers(0, 99))
def test_sizes_stay_within_their_range(limits: list[int], seed: int) -> None:
    smallest, median, largest = limits
    sizes = SizeRange(smallest_px=smallest, median_px=median, largest_px=largest)
    drawn = draw_sizes(50, sizes=sizes, rng=np.random.default_rng(seed))
    assert drawn.shape == (50, 2)
    assert drawn.min() >= smallest
    assert drawn.max() <= largest


def test_sizes_out_of_order_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^sizes from 60 over 50 \(median\) to 90 px are not in order; they must"):
        SizeRange(smallest_px=60, median_px=50, largest_px=90)


# What a classifier can learn


def test_colour_and_size_say_nothing_of_the_class(sample: Sample) -> None:
    features = [[*image.mean(axis=(0, 1)), *image.shape[:2]] for image in sample.images]
    assert accuracy(LogisticRegression(), features, sample) == pytest.approx(0.25, abs=0.12)
    forest = RandomForestClassifier(50, random_state=0)
    assert accuracy(forest, features, sample) == pytest.approx(0.25, abs=0.12)


def test_texture_tells_the_class(sample: Sample) -> None:
    features = [texture_of(image) for image in sample.images]
    forest = RandomForestClassifier(50, random_state=0)
    assert 0.5 < accuracy(forest, features, sample) < 0.98


def texture_of(image: np.ndarray) -> list[float]:
    """Contrast at several scales, and the shares of dark and bright pixels, whatever colour and size."""
    grey = image.mean(axis=2)
    grey = (grey - grey.mean()) / grey.std()
    smoothed = [grey, *(ndimage.gaussian_filter(grey, width) for width in (1, 2, 4, 8))]
    bands = [float((fine - coarse).std()) for fine, coarse in itertools.pairwise(smoothed)]
    dark = grey < -1
    core = [float(ndimage.binary_erosion(dark, iterations=steps).mean()) for steps in (1, 2, 3)]
    return [*bands, float(dark.mean()), *core, float((grey > 1.5).mean()), float((smoothed[2] > 1).mean())]


# The study


def test_the_pattern_fits_every_image_and_gives_case_and_stain(study: SyntheticStudy) -> None:
    names = sorted(path.name for path in study.images.iterdir() if path.suffix == ".png")
    matches = [re.fullmatch(study.name_pattern, name) for name in names]
    assert study.name_pattern == NAME_PATTERN
    assert names == sorted(study.truth)
    assert {match["stain"] for match in matches if match} <= set(STAINS)
    assert all(match and match["case"].startswith("case_") for match in matches)


def test_labels_stand_beside_the_images_and_agree_with_the_truth(study: SyntheticStudy) -> None:
    assert study.labels.parent == study.images.parent
    assert study.classes == KINDS
    rows = label_rows(study)
    disputed = fault_of(study, "case-with-two-labels").cases
    labels = {case: label for case, label in rows if case not in disputed}
    clean = {name: kind for name, kind in study.truth.items() if case_of(study, name) in labels}
    assert {name: labels[case_of(study, name)] for name in clean} == clean
    assert [list(study.truth.values()).count(kind) >= 4 for kind in KINDS] == [True] * 4


def test_the_number_of_images_a_case_is_within_its_range(study: SyntheticStudy) -> None:
    planted = {name for fault in study.faults for name in fault.files[-1:]}
    cases = [case_of(study, name) for name in study.truth if name not in planted]
    assert {cases.count(case) for case in cases} <= {1, 2, 3}
    assert len({case for case, _ in label_rows(study)}) == 2 * 4 + 2


def test_the_number_of_a_case_says_nothing_of_its_class(tmp_path: Path) -> None:
    sizes = SizeRange(smallest_px=2, median_px=2, largest_px=2)
    made = write_synthetic(tmp_path, cases_per_class=5, images_per_case=(1, 1), seed=3, sizes=sizes, faults=False)
    labels = [label for _, label in label_rows(made)]
    assert labels != sorted(labels, key=KINDS.index)
    assert sorted(labels) == sorted(KINDS * 5)


def test_each_kind_of_fault_is_planted_once_and_explained(study: SyntheticStudy) -> None:
    assert [fault.kind for fault in study.faults] == [
        "truncated",
        "one-pixel",
        "identical-file",
        "identical-pixels",
        "not-an-image",
        "case-without-label",
        "case-with-two-labels",
        "label-without-images",
    ]
    for fault in study.faults:
        assert all((study.images / name).is_file() for name in fault.files)
        assert {*fault.files, *fault.cases} & set(str(fault).split())


def test_only_the_truncated_file_and_the_text_cannot_be_decoded(study: SyntheticStudy) -> None:
    (truncated,) = fault_of(study, "truncated").files
    (text,) = fault_of(study, "not-an-image").files
    with pytest.raises(OSError, match="truncated"):
        decoded(study.images / truncated)
    assert text not in study.truth
    for name in set(study.truth) - {truncated}:
        assert decoded(study.images / name).ndim == 3


def test_only_the_planted_image_has_a_single_pixel(study: SyntheticStudy) -> None:
    (name,) = fault_of(study, "one-pixel").files
    (truncated,) = fault_of(study, "truncated").files
    tiny = [other for other in study.truth if other != truncated and decoded(study.images / other).size == 3]
    assert tiny == [name]


def test_only_the_planted_copies_are_identical(study: SyntheticStudy) -> None:
    copy, recoded = fault_of(study, "identical-file"), fault_of(study, "identical-pixels")
    (truncated,) = fault_of(study, "truncated").files
    names = [name for name in study.truth if name != truncated]
    contents = {name: (study.images / name).read_bytes() for name in names}
    pixels = {name: decoded(study.images / name).tobytes() for name in names}
    assert contents[copy.files[0]] == contents[copy.files[1]]
    assert contents[recoded.files[0]] != contents[recoded.files[1]]
    assert pixels[recoded.files[0]] == pixels[recoded.files[1]]
    assert len(set(contents.values())) == len(names) - 1
    assert len(set(pixels.values())) == len(names) - 2
    for fault in (copy, recoded):
        assert tuple(case_of(study, name) for name in fault.files) == fault.cases
        assert len(set(fault.cases)) == 2
        assert study.truth[fault.files[0]] == study.truth[fault.files[1]]


def test_labels_are_missing_double_and_left_over_as_listed(study: SyntheticStudy) -> None:
    rows = label_rows(study)
    labelled = {case for case, _ in rows}
    shown = {case_of(study, name) for name in study.truth}
    assert shown - labelled == set(fault_of(study, "case-without-label").cases)
    assert labelled - shown == set(fault_of(study, "label-without-images").cases)
    assert {case for case in labelled if sum(case == other for other, _ in rows) > 1} == set(
        fault_of(study, "case-with-two-labels").cases
    )


def test_faults_add_to_a_study_and_change_nothing_else(study: SyntheticStudy, tmp_path: Path) -> None:
    clean = write_synthetic(tmp_path, cases_per_class=2, images_per_case=(2, 3), seed=5, sizes=TINY, faults=False)
    assert clean.truth.items() <= study.truth.items()
    for name in clean.truth:
        assert files.digest_file(clean.images / name) == files.digest_file(study.images / name)


def test_another_seed_gives_another_study(study: SyntheticStudy, tmp_path: Path) -> None:
    other = write_synthetic(tmp_path, cases_per_class=2, images_per_case=(2, 3), seed=6, sizes=TINY)
    digests = [{files.digest_file(path) for path in made.images.glob("*.png")} for made in (study, other)]
    assert not digests[0] & digests[1]


@pytest.mark.parametrize(
    ("cases_per_class", "images_per_case", "message"),
    [
        (1, (1, 1), r"^cases_per_class is 1; it must be at least 2; planted copies stand in two cases of a class$"),
        (2, (3, 2), r"^images_per_case is 3 to 2; it must rise, from at least 1$"),
        (2, (0, 2), r"^images_per_case is 0 to 2; it must rise, from at least 1$"),
    ],
)
def test_impossible_counts_are_refused_before_anything_is_written(
    tmp_path: Path, cases_per_class: int, images_per_case: tuple[int, int], message: str
) -> None:
    folder = tmp_path / "study"
    with pytest.raises(SettingsError, match=message):
        write_synthetic(folder, cases_per_class=cases_per_class, images_per_case=images_per_case, seed=1)
    assert not folder.exists()


def test_a_study_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^cases_per_class is 0; it must be at least 1$"):
        write_synthetic(tmp_path, cases_per_class=0, images_per_case=(1, 1), seed=1, faults=False)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(StorageError, match=r"is not empty; name a new folder for the synthetic images$"):
        write_synthetic(tmp_path, cases_per_class=2, images_per_case=(1, 1), seed=1, sizes=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
