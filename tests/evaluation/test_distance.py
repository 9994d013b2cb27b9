from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

from radpath.errors import DataError
from radpath.evaluation.distance import DistanceSettings, TrainingDistance, fit_distance, read_distance, write_distance

USUAL = DistanceSettings()


def drawn(seed: int, num_images: int, num_features: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of features, long in one direction."""
    generator = np.random.default_rng(seed)
    groups = generator.integers(2, size=num_images)
    features = generator.normal(size=(num_images, num_features)) * np.linspace(0.2, 3, num_features)
    return (features + 4 * groups[:, None]).astype(np.float32), groups


def unit(features: np.ndarray) -> np.ndarray:
    exact = features.astype(np.float64)
    scaled: np.ndarray = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    return scaled


def fitted(seed: int = 0, num_images: int = 200, wanted: DistanceSettings = USUAL) -> TrainingDistance:
    found = fit_distance(*drawn(seed, num_images), drawn(seed + 1, 100)[0], settings=wanted, model="m")
    assert found is not None
    return found


def test_the_distance_is_mahalanobis_to_the_nearest_class_under_a_shared_shrunk_covariance() -> None:
    features, groups = drawn(0, 200)
    features = unit(features)
    means = [features[groups == group].astype(np.float64).mean(axis=0) for group in (0, 1)]
    residuals = np.concatenate([features[groups == group] - means[group] for group in (0, 1)])
    precision = LedoitWolf(assume_centered=True).fit(residuals).precision_
    found, new = fitted(), drawn(7, 20)[0]
    expected = [min(mahalanobis(row, mean, precision) for mean in means) for row in unit(new)]
    assert found.of(new) * found.facts.threshold == pytest.approx(expected, rel=1e-4)


def test_the_stated_share_of_validation_images_is_not_beyond_one() -> None:
    validation = drawn(1, 100)[0]
    for quantile in (0.5, 0.9, 1.0):
        distances = fitted(wanted=DistanceSettings(quantile=quantile)).of(validation)
        assert (distances <= 1).mean() == pytest.approx(quantile, abs=0.011)
        assert distances.max() >= 1


def test_what_lies_across_a_narrow_direction_is_farther_than_along_a_wide_one() -> None:
    generator = np.random.default_rng(0)
    features = 20 + generator.normal(size=(300, 6)) * np.linspace(0.2, 3, 6)
    found = fit_distance(features, np.zeros(300, dtype=np.int64), features, settings=USUAL, model="m")
    assert found is not None
    narrow, wide = np.full((1, 6), 20.0), np.full((1, 6), 20.0)
    narrow[0, 0] += 3
    wide[0, 5] += 3
    assert found.of(narrow) > 3 * found.of(wide)


def test_an_image_without_structure_is_far_although_its_features_are_short() -> None:
    features, groups = drawn(0, 200)
    features = features + 10
    found = fit_distance(features, groups, features, settings=USUAL, model="m")
    assert found is not None
    flat = 1e-3 * np.array([[1.0, -1.0, 1.0, -1.0, 1.0, -1.0]])
    assert found.of(flat)[0] > 1
    assert np.isfinite(found.of(np.zeros((1, 6)))).all()


def test_more_features_than_images_give_a_distance_that_still_tells_far_from_near() -> None:
    generator = np.random.default_rng(0)
    features, groups = 5 + generator.normal(size=(30, 90)), np.arange(30) % 3
    found = fit_distance(features, groups, 5 + generator.normal(size=(20, 90)), settings=USUAL, model="m")
    assert found is not None
    assert 0 < found.facts.shrinkage <= 1
    assert (found.of(5 * (-1.0) ** np.arange(90) + generator.normal(size=(20, 90))) > 1).all()


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, groups = drawn(0, 200)
    features[:, 2] = 0
    found = fit_distance(features, groups, features, settings=USUAL, model="m")
    assert found is not None
    assert np.isfinite(found.of(features)).all()


def test_there_is_no_distance_where_nothing_varies_or_nothing_is_wanted() -> None:
    features, groups = drawn(0, 20)
    none = DistanceSettings(most_images=0)
    assert fit_distance(features, groups, features, settings=none, model="m") is None
    assert fit_distance(np.ones((20, 6)), groups, features, settings=USUAL, model="m") is None
    assert fit_distance(features, groups, features[:0], settings=USUAL, model="m") is None
    assert fit_distance(features[:2], np.array([0, 1]), features, settings=USUAL, model="m") is None


def test_images_that_are_measured_are_spread_over_all() -> None:
    features, groups = drawn(0, 200)
    few = fit_distance(features, groups, features, settings=DistanceSettings(most_images=50), model="m")
    assert few is not None
    assert few.facts.num_images == 50
    places = np.linspace(0, 199, 50).round().astype(int)
    same = fit_distance(features[places], groups[places], features, settings=USUAL, model="m")
    assert same is not None
    assert np.array_equal(few.whitening, same.whitening)


def test_what_is_written_is_read_again_to_the_last_bit(tmp_path: Path) -> None:
    found, new = fitted(), drawn(3, 10)[0]
    write_distance(found, tmp_path / "distance.safetensors", tmp_path / "distance.json")
    again = read_distance(tmp_path / "distance.safetensors")
    assert again is not None
    assert again.facts == found.facts
    assert np.array_equal(again.of(new), found.of(new))
    assert read_distance(tmp_path / "none.safetensors") is None


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "distance.safetensors"
    write_distance(fitted(), path, tmp_path / "distance.json")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"distance.safetensors is not what radpath wrote .*; restore it, or train"):
        read_distance(path)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_length_of_the_features_of_an_image_does_not_matter(seed: int) -> None:
    found, new = fitted(seed), drawn(seed + 2, 10)[0].astype(np.float64)
    lengths = np.random.default_rng(seed).uniform(0.01, 100, size=(10, 1))
    assert found.of(new * lengths) == pytest.approx(found.of(new))
