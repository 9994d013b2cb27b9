import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from radpath.errors import DataError
from radpath.evaluation.ranking import (
    average_precision,
    average_precision_of,
    macro_roc_auc,
    net_benefit_of,
    partial_roc_auc_of,
    precision_recall_curve,
    rank,
    roc_auc,
    roc_auc_of,
    roc_curve,
    sensitivity_at_specificity_of,
    specificity_at_sensitivity_of,
    tally,
)

# Eleven distinct scores make ties the rule.
IMAGES = st.lists(st.tuples(st.integers(0, 10), st.booleans(), st.integers(0, 3)), min_size=2, max_size=40).filter(
    lambda rows: len({positive for _, positive, weight in rows if weight}) == 2
)
cheap = settings(max_examples=50, deadline=None)


def columns(rows: list[tuple[int, bool, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, is_positive, weights = zip(*rows, strict=True)
    return np.array(scores) / 10, np.array(is_positive), np.array(weights, dtype=np.float64)


@given(IMAGES)
@cheap
def test_weighted_values_agree_with_scikit_learn_ties_included(rows: list[tuple[int, bool, int]]) -> None:
    scores, truth, weights = columns(rows)
    expected = metrics.roc_auc_score(truth, scores, sample_weight=weights)
    assert roc_auc(scores, truth, weights=weights) == pytest.approx(expected, abs=1e-12)
    expected = metrics.average_precision_score(truth, scores, sample_weight=weights)
    assert average_precision(scores, truth, weights=weights) == pytest.approx(expected, abs=1e-12)


@given(IMAGES)
@cheap
def test_unweighted_values_agree_with_scikit_learn(rows: list[tuple[int, bool, int]]) -> None:
    scores, truth, _ = columns(rows)
    assert roc_auc(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)
    assert average_precision(scores, truth) == pytest.approx(metrics.average_precision_score(truth, scores), abs=1e-12)


@given(IMAGES)
@cheap
def test_the_area_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool, int]]) -> None:
    scores, truth, _ = columns(rows)
    pairs = np.sign(scores[truth][:, None] - scores[~truth][None, :])
    assert roc_auc(scores, truth) == pytest.approx(((pairs + 1) / 2).mean(), abs=1e-12)


@given(IMAGES)
@cheap
def test_a_monotone_map_of_the_scores_changes_nothing(rows: list[tuple[int, bool, int]]) -> None:
    scores, truth, weights = columns(rows)
    mapped = np.exp(3 * scores) - 7
    assert roc_auc(mapped, truth, weights=weights) == roc_auc(scores, truth, weights=weights)
    assert average_precision(mapped, truth, weights=weights) == average_precision(scores, truth, weights=weights)


@given(IMAGES, st.randoms(use_true_random=False))
@cheap
def test_the_order_of_the_images_changes_nothing(rows: list[tuple[int, bool, int]], shuffler: object) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    before, after = columns(rows), columns(shuffled)
    assert roc_auc(after[0], after[1]) == roc_auc(before[0], before[1])
    assert average_precision(after[0], after[1]) == average_precision(before[0], before[1])


@given(IMAGES)
@cheap
def test_whole_weights_are_repetitions_of_images(rows: list[tuple[int, bool, int]]) -> None:
    scores, truth, weights = columns(rows)
    times = weights.astype(int)
    repeated = np.repeat(scores, times), np.repeat(truth, times)
    assert roc_auc(scores, truth, weights=weights) == roc_auc(*repeated)
    assert average_precision(scores, truth, weights=weights) == pytest.approx(average_precision(*repeated), abs=1e-12)


def test_many_weights_at_once_give_the_same_as_one_by_one() -> None:
    generator = np.random.default_rng(0)
    scores, truth = generator.integers(0, 9, size=60) / 8, generator.random(60) < 0.4
    unit_of = generator.integers(0, 12, size=60)
    weights = generator.integers(0, 3, size=(12, 7)).astype(np.float64)
    counts = tally(rank(scores, truth, unit_of=unit_of, num_units=12), weights)
    areas, precisions = roc_auc_of(counts), average_precision_of(counts)
    for column in range(7):
        of_image = weights[unit_of, column]
        assert areas[column] == roc_auc(scores, truth, weights=of_image)
        assert precisions[column] == pytest.approx(average_precision(scores, truth, weights=of_image), abs=1e-12)


def test_without_positive_or_without_other_images_the_area_is_undefined() -> None:
    scores, all_of_them = np.array([0.2, 0.7]), np.array([True, True])
    assert roc_auc(scores, all_of_them) is None
    assert roc_auc(scores, ~all_of_them) is None
    assert average_precision(scores, ~all_of_them) is None
    assert average_precision(scores, all_of_them) == 1.0
    assert roc_auc(np.empty(0), np.empty(0, dtype=bool)) is None
    assert roc_curve(scores, all_of_them) is None
    assert precision_recall_curve(scores, ~all_of_them) is None
    assert precision_recall_curve(np.empty(0), np.empty(0, dtype=bool)) is None


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="score 1 is not a finite number"):
        roc_auc(np.array([0.1, np.nan]), np.array([True, False]))


@given(st.integers(0, 1000), st.integers(3, 5))
@cheap
def test_the_macro_area_agrees_with_scikit_learn(seed: int, num_classes: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(num_classes), size=30)
    truth = np.append(np.arange(num_classes), generator.integers(num_classes, size=30 - num_classes))
    expected = metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    assert macro_roc_auc(probabilities, truth) == pytest.approx(expected, abs=1e-12)


def test_the_macro_area_is_undefined_where_a_class_is_absent() -> None:
    assert macro_roc_auc(np.full((4, 3), 1 / 3), np.array([0, 0, 1, 1])) is None


@given(IMAGES)
@cheap
def test_the_curves_are_those_of_scikit_learn(rows: list[tuple[int, bool, int]]) -> None:
    scores, truth, _ = columns(rows)
    curve = roc_curve(scores, truth)
    if not truth.any() or truth.all():
        assert curve is None
        return
    assert curve is not None
    alarms, hits, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    # Only points on a straight line may be missing, so the curve through ours passes all of theirs.
    assert np.interp(alarms, curve.x, curve.y).max() == 1.0
    assert metrics.auc(curve.x, curve.y) == pytest.approx(metrics.auc(alarms, hits), abs=1e-12)
    assert {*zip(curve.x, curve.y, strict=True)} <= {*zip(alarms, hits, strict=True)}

    points = precision_recall_curve(scores, truth)
    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    assert points is not None
    np.testing.assert_allclose(points.x, recall[-2::-1], atol=1e-12)
    np.testing.assert_allclose(points.y, precision[-2::-1], atol=1e-12)


def test_a_perfect_curve_has_three_points() -> None:
    curve = roc_curve(np.arange(10.0), np.arange(10) >= 4)
    assert curve is not None
    assert curve.x.tolist() == [0, 0, 1]
    assert curve.y.tolist() == [0, 1, 1]


@given(IMAGES, st.floats(0.05, 1))
@cheap
def test_the_partial_area_agrees_with_scikit_learn(rows: list[tuple[int, bool, int]], largest: float) -> None:
    scores, truth, weights = columns(rows)
    found = partial_roc_auc_of(tally(rank(scores, truth), weights[:, None]), largest)[0]
    expected = metrics.roc_auc_score(truth, scores, sample_weight=weights, max_fpr=largest)
    assert found == pytest.approx(expected, abs=1e-12)


@given(IMAGES, st.sampled_from([0.1, 0.5, 0.55, 0.7, 0.9, 0.95]))
@cheap
def test_operating_points_are_the_best_of_all_thresholds(rows: list[tuple[int, bool, int]], share: float) -> None:
    scores, truth, weights = columns(rows)
    counts = tally(rank(scores, truth), weights[:, None])
    points = []
    for threshold in [*scores, np.inf]:
        called = scores >= threshold
        points.append(
            (
                np.average(called[truth], weights=weights[truth]),
                1 - np.average(called[~truth], weights=weights[~truth]),
            )
        )
    best_sensitivity = max(sensitivity for sensitivity, specificity in points if specificity >= share - 1e-9)
    best_specificity = max(specificity for sensitivity, specificity in points if sensitivity >= share - 1e-9)
    assert sensitivity_at_specificity_of(counts, share)[0] == pytest.approx(best_sensitivity, abs=1e-12)
    assert specificity_at_sensitivity_of(counts, share)[0] == pytest.approx(best_specificity, abs=1e-12)


def test_nine_of_ten_are_a_specificity_of_nine_tenths() -> None:
    """0.9 x 10 images and 1 - 1/10 are not the same float; the reader means the same number."""
    truth = np.array([True] + [False] * 10)
    scores = np.array([0.5, 0.9] + [0.1] * 9)
    counts = tally(rank(scores, truth), np.ones((11, 1)))
    assert sensitivity_at_specificity_of(counts, 0.9)[0] == 1
    assert sensitivity_at_specificity_of(counts, 0.91)[0] == 0


@given(IMAGES, st.sampled_from([0.05, 0.3, 0.5, 0.95]))
@cheap
def test_the_net_benefit_weighs_false_alarms_by_the_odds(rows: list[tuple[int, bool, int]], threshold: float) -> None:
    scores, truth, weights = columns(rows)
    called = scores >= threshold
    hits, alarms = (weights[called & chosen].sum() / weights.sum() for chosen in (truth, ~truth))
    found = net_benefit_of(tally(rank(scores, truth), weights[:, None]), threshold)[0]
    assert found == pytest.approx(hits - alarms * threshold / (1 - threshold), abs=1e-12)
