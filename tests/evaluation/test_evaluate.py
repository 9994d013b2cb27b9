import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from radpath.errors import DataError, SettingsError
from radpath.evaluation.cases import CaseSettings
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.intervals import IntervalMethod
from radpath.evaluation.metrics import MetricSettings
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import OperatingPointSettings, choose_threshold
from radpath.records import SIDES
from radpath.seeding import generator_for

MakePredictions = Callable[..., Predictions]
QUICK = EvaluationSettings(replicates=100)
CLASSES = ("normal", "in situ", "invasive")


def take_rows(predictions: Predictions, rows: Sequence[int]) -> Predictions:
    return Predictions(
        record_ids=tuple(predictions.record_ids[row] for row in rows),
        cases=tuple(predictions.cases[row] for row in rows),
        sides=tuple(predictions.sides[row] for row in rows),
        truth=tuple(predictions.truth[row] for row in rows),
        probabilities=predictions.probabilities[list(rows)],
        classes=predictions.classes,
    )


def rows_of(predictions: Predictions, *sides: str) -> list[int]:
    return [row for row, side in enumerate(predictions.sides) if side in sides]


@pytest.mark.parametrize("classes", [("benign", "malignant"), CLASSES])
def test_an_evaluation_holds_every_side_and_survives_json(
    make_predictions: MakePredictions, classes: tuple[str, ...]
) -> None:
    evaluation = evaluate(make_predictions(classes=classes), QUICK)
    assert list(evaluation.sides) == ["train", "validation", "test"]
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))) == evaluation
    for side, numbers in evaluation.sides.items():
        assert numbers.side == side
        assert numbers.num_cases == 20
        assert sum(map(sum, numbers.confusion)) == numbers.num_images == sum(numbers.images_per_class.values())
        for estimate in numbers.estimates:
            assert estimate.value is not None
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.low <= estimate.high


@given(st.randoms(use_true_random=False), st.sampled_from([("benign", "malignant"), CLASSES]))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_rows_never_changes_a_number(
    make_predictions: MakePredictions, shuffler: object, classes: tuple[str, ...]
) -> None:
    predictions = make_predictions(1, classes=classes)
    rows = list(range(len(predictions)))
    shuffler.shuffle(rows)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    assert evaluate(take_rows(predictions, rows), QUICK) == evaluate(predictions, QUICK)


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_test_side_never_touches_the_threshold(make_predictions: MakePredictions, seed: int) -> None:
    predictions = make_predictions(seed)
    generator = np.random.default_rng(seed)
    probabilities = predictions.probabilities.copy()
    truth = list(predictions.truth)
    for row in rows_of(predictions, "test"):
        probabilities[row] = generator.dirichlet([1, 1])
        truth[row] = str(generator.choice(predictions.classes))
    other = dataclasses.replace(predictions, probabilities=probabilities, truth=tuple(truth))
    before, after = evaluate(predictions, QUICK), evaluate(other, QUICK)
    assert before.threshold is not None
    assert after.threshold == before.threshold
    assert after.sides["validation"] == before.sides["validation"]
    assert evaluate(take_rows(predictions, rows_of(predictions, "train", "validation")), QUICK).threshold == (
        before.threshold
    )


def test_the_threshold_of_validation_decides_on_test(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(2)
    evaluation = evaluate(predictions, EvaluationSettings(replicates=100, positive_class="malignant"))
    threshold = evaluation.threshold
    assert threshold is not None
    truth = np.array([name == "malignant" for name in predictions.truth])
    scores = predictions.probabilities[:, 1].copy()
    validation, test = rows_of(predictions, "validation"), rows_of(predictions, "test")
    assert threshold == choose_threshold(scores[validation], truth[validation], positive_class="malignant")
    called = scores[test] >= threshold.value
    expected = metrics.confusion_matrix(truth[test], called).tolist()
    assert [list(row) for row in evaluation.sides["test"].confusion] == expected


def test_intervals_are_those_of_a_plain_loop_over_drawn_cases(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(3)
    settings = EvaluationSettings(replicates=150, positive_class="malignant", seed=5, interval="percentile")
    evaluation = evaluate(predictions, settings)
    assert evaluation.threshold is not None
    test = rows_of(predictions, "test")
    names = sorted({predictions.cases[row] for row in test})
    images = {name: [row for row in test if predictions.cases[row] == name] for name in names}
    truth = np.array([name == "malignant" for name in predictions.truth])
    scores = predictions.probabilities[:, 1]
    generator = generator_for(5, "bootstrap", "test")
    areas, precisions, briers, accuracies = [], [], [], []
    for _ in range(150):
        rows = [row for number in generator.integers(len(names), size=len(names)) for row in images[names[number]]]
        areas.append(metrics.roc_auc_score(truth[rows], scores[rows]))
        precisions.append(metrics.average_precision_score(truth[rows], scores[rows]))
        briers.append(metrics.brier_score_loss(truth[rows], scores[rows]))
        accuracies.append(((scores[rows] >= evaluation.threshold.value) == truth[rows]).mean())
    drawn = {
        ("roc_auc", "malignant"): areas,
        ("average_precision", "malignant"): precisions,
        ("brier", None): briers,
        ("accuracy", None): accuracies,
    }
    for (metric, of_class), values in drawn.items():
        found = evaluation.sides["test"].find(metric, of_class)
        assert found is not None
        assert [found.low, found.high] == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=1e-12)


def test_the_positive_class_is_the_rarer_one_in_training(make_predictions: MakePredictions) -> None:
    assert evaluate(make_predictions(shares=(0.2, 0.8)), QUICK).positive_class == "benign"
    assert evaluate(make_predictions(shares=(0.8, 0.2)), QUICK).positive_class == "malignant"
    predictions = make_predictions(shares=(0.2, 0.8))
    without_train = take_rows(predictions, rows_of(predictions, "validation", "test"))
    assert evaluate(without_train, QUICK).positive_class == "benign"


def test_without_a_training_side_validation_chooses_the_positive_class_and_never_the_test_side(
    make_predictions: MakePredictions,
) -> None:
    predictions = make_predictions()
    rows = [row for row, side in enumerate(predictions.sides) if side != "train"]
    truth = tuple(
        "benign" if predictions.sides[row] == "validation" and place % 4 == 0 else "malignant"
        for place, row in enumerate(rows)
    )
    texts = {name: tuple(getattr(predictions, name)[row] for row in rows) for name in ("record_ids", "cases", "sides")}
    alone = dataclasses.replace(predictions, **texts, truth=truth, probabilities=predictions.probabilities[rows])
    assert evaluate(alone, EvaluationSettings(replicates=100)).positive_class == "benign"
    swapped = tuple("benign" if alone.sides[row] == "test" else name for row, name in enumerate(truth))
    of_swapped = dataclasses.replace(alone, truth=swapped)
    assert evaluate(of_swapped, EvaluationSettings(replicates=100)).positive_class == "benign"


def test_of_two_equally_common_classes_the_second_is_positive(make_predictions: MakePredictions) -> None:
    predictions = make_predictions()
    truth = tuple(predictions.classes[row % 2] for row in range(len(predictions)))
    balanced = take_rows(dataclasses.replace(predictions, truth=truth), range(2 * (len(predictions) // 2)))
    everything = dataclasses.replace(balanced, sides=tuple(SIDES[0] for _ in balanced.sides))
    assert evaluate(everything, QUICK).positive_class == "malignant"


def test_a_given_threshold_is_used_unchanged(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(4)
    strict = choose_threshold(np.array([0.98, 1.0]), np.array([False, True]), positive_class="benign")
    evaluation = evaluate(predictions, QUICK, threshold=strict)
    assert evaluation.threshold == strict
    assert evaluation.positive_class == "benign"
    assert evaluation.sides["test"].collapsed_to == "malignant"
    assert "test: every image was decided for 'malignant'; the model does not tell classes apart" in evaluation.warnings


def test_new_data_alone_need_no_training_side(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(5)
    fitted = evaluate(predictions, QUICK)
    new = take_rows(predictions, rows_of(predictions, "test"))
    evaluation = evaluate(new, QUICK, threshold=fitted.threshold)
    assert evaluation.sides["test"].estimates == fitted.sides["test"].estimates
    assert evaluation.sides["test"].baseline == ()
    assert any(line.startswith("train: there are no labelled images") for line in evaluation.warnings)


def test_a_threshold_set_by_hand_decides_and_no_rule_chooses(make_predictions: MakePredictions) -> None:
    evaluation = evaluate(make_predictions(), EvaluationSettings(threshold=0.3, replicates=100))
    assert evaluation.threshold is not None
    assert (evaluation.threshold.value, evaluation.threshold.rule) == (0.3, "given")
    assert evaluation.by_case is not None
    assert evaluation.by_case.numbers.threshold is not None
    # It is of images: pooled cases have another scale, so that validation cases choose theirs.
    assert evaluation.by_case.numbers.threshold.rule == "youden"
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict()))) == evaluation


def test_a_majority_is_half_or_more_whatever_threshold_decides_images(make_predictions: MakePredictions) -> None:
    wanted = EvaluationSettings(threshold=0.3, replicates=100, cases=CaseSettings(rule="majority"))
    by_case = evaluate(make_predictions(), wanted).by_case
    assert by_case is not None
    assert by_case.numbers.threshold is not None
    assert (by_case.numbers.threshold.value, by_case.numbers.threshold.rule) == (0.5, "half")


def test_the_rule_and_what_it_asks_for_reach_the_threshold(make_predictions: MakePredictions) -> None:
    asked = OperatingPointSettings(sensitivity=0.8)
    wanted = EvaluationSettings(threshold_rule="sensitivity", operating_points=asked, replicates=100)
    found = evaluate(make_predictions(), wanted).threshold
    assert found is not None
    assert (found.rule, found.asked) == ("sensitivity", {"sensitivity": 0.8})
    assert found.sensitivity is not None
    assert found.sensitivity >= 0.8


def test_a_threshold_set_by_hand_for_several_classes_is_refused(make_predictions: MakePredictions) -> None:
    with pytest.raises(SettingsError, match=r"^evaluation\.threshold is 0\.3, but with 3 classes .* leave it out$"):
        evaluate(make_predictions(classes=("a", "b", "c")), EvaluationSettings(threshold=0.3, replicates=100))


def test_several_classes_have_no_threshold(make_predictions: MakePredictions) -> None:
    evaluation = evaluate(make_predictions(classes=CLASSES), QUICK)
    assert evaluation.threshold is None
    assert evaluation.positive_class is None
    headline = evaluation.headline("test")
    assert headline is not None
    assert headline.of_class is None


def test_the_baseline_is_the_majority_class_of_training_everywhere(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(6, shares=(0.7, 0.3))
    numbers = evaluate(predictions, QUICK).sides["test"]
    baseline = {estimate.metric: estimate.value for estimate in numbers.baseline}
    assert baseline["accuracy"] == numbers.images_per_class["benign"] / numbers.num_images
    assert baseline["balanced_accuracy"] == 0.5
    assert baseline["roc_auc"] == 0.5
    assert baseline["average_precision"] == pytest.approx(numbers.images_per_class["malignant"] / numbers.num_images)
    assert {estimate.low for estimate in numbers.baseline} == {None}


def test_images_without_a_label_change_nothing_but_are_counted(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(7)
    unlabelled = rows_of(predictions, "test")[-3:]
    truth = tuple(None if row in unlabelled else name for row, name in enumerate(predictions.truth))
    labelled = take_rows(predictions, [row for row in range(len(predictions)) if row not in unlabelled])
    evaluation = evaluate(dataclasses.replace(predictions, truth=truth), QUICK)
    assert evaluation.sides == evaluate(labelled, QUICK).sides
    assert evaluation.warnings[0] == "test: 3 images without a label are left out of every number"


def test_what_an_absent_class_leaves_undefined_has_a_reason(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(8)
    benign_test = [
        row
        for row, (side, name) in enumerate(zip(predictions.sides, predictions.truth, strict=True))
        if side != "test" or name == "benign"
    ]
    settings = EvaluationSettings(replicates=100, positive_class="malignant")
    numbers = evaluate(take_rows(predictions, benign_test), settings).sides["test"]
    area = numbers.find("roc_auc", "malignant")
    assert area is not None
    assert (area.value, area.low, area.high) == (None, None, None)
    assert area.note == "undefined: the class or the rest has no images"
    accuracy = numbers.find("accuracy")
    assert accuracy is not None
    assert accuracy.value is not None


def test_one_case_gives_values_without_intervals(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(9)
    cases = tuple(
        "alone" if side == "test" else case for side, case in zip(predictions.sides, predictions.cases, strict=True)
    )
    numbers = evaluate(dataclasses.replace(predictions, cases=cases), QUICK).sides["test"]
    assert {estimate.low for estimate in numbers.estimates} == {None}
    assert {estimate.note for estimate in numbers.estimates} == {"no interval: there is only one case"}


def test_without_validation_half_is_used_and_said(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(10)
    evaluation = evaluate(take_rows(predictions, rows_of(predictions, "train", "test")), QUICK)
    assert evaluation.threshold is not None
    assert (evaluation.threshold.rule, evaluation.threshold.value) == ("half", 0.5)
    assert any("is better than chance; 0.5 is used" in line for line in evaluation.warnings)


def test_the_same_seed_gives_the_same_intervals_and_another_does_not(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(11)
    assert evaluate(predictions, QUICK) == evaluate(predictions, QUICK)
    one, other = (
        evaluate(predictions, EvaluationSettings(replicates=100, interval="percentile", seed=seed)) for seed in (0, 1)
    )
    assert one.headline("test") != other.headline("test")


def test_predictions_without_any_label_are_refused(make_predictions: MakePredictions) -> None:
    predictions = make_predictions()
    with pytest.raises(DataError, match="no image has a label, so nothing can be evaluated"):
        evaluate(dataclasses.replace(predictions, truth=(None,) * len(predictions)), QUICK)


def test_a_positive_class_that_cannot_be_is_refused(make_predictions: MakePredictions) -> None:
    wanted = EvaluationSettings(positive_class="tumour")
    with pytest.raises(SettingsError, match="positive_class is 'tumour'; the classes are benign, malignant"):
        evaluate(make_predictions(), wanted)
    with pytest.raises(SettingsError, match="but there are 3 classes; leave it out"):
        evaluate(make_predictions(classes=CLASSES), EvaluationSettings(positive_class="invasive"))
    threshold = choose_threshold(np.array([0.1, 0.8]), np.array([False, True]), positive_class="benign")
    with pytest.raises(SettingsError, match="but the threshold is for 'benign'; leave it out"):
        evaluate(make_predictions(), EvaluationSettings(positive_class="malignant"), threshold=threshold)


def test_a_threshold_for_other_classes_is_refused(make_predictions: MakePredictions) -> None:
    threshold = choose_threshold(np.array([0.1, 0.8]), np.array([False, True]), positive_class="tumour")
    with pytest.raises(DataError, match="a threshold for 'tumour' cannot decide between benign, malignant"):
        evaluate(make_predictions(), QUICK, threshold=threshold)


def test_evaluation_works_without_pytorch() -> None:
    check = "import sys, radpath.evaluation.evaluate; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_grades_have_a_kappa_and_an_error_in_classes_beside_the_main_numbers(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(12, classes=CLASSES)
    grades = evaluate(predictions, EvaluationSettings(replicates=100, ordered_classes=True))
    assert grades.ordered_classes
    kappa = grades.sides["test"].find("quadratic_kappa")
    assert kappa is not None
    assert kappa.low is not None
    assert evaluate(predictions, QUICK).sides["test"].find("quadratic_kappa") is None


def test_further_metrics_are_there_when_named(make_predictions: MakePredictions) -> None:
    further = MetricSettings(also=("mcc", "f_beta", "pairwise_roc_auc"), beta=0.5)
    evaluation = evaluate(make_predictions(13), EvaluationSettings(replicates=100, metrics=further))
    numbers = evaluation.sides["test"]
    f_half = numbers.find("f_beta", evaluation.positive_class)
    assert f_half is not None
    assert f_half.at == 0.5
    assert numbers.find("mcc") is not None
    assert "pairwise_roc_auc: left out, since there are two classes, and this is for more" in evaluation.warnings
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))) == evaluation


def test_a_metric_for_classes_with_an_order_needs_the_order() -> None:
    with pytest.raises(ValueError, match="names 'linear_kappa', which is for classes with an order; set ordered_class"):
        EvaluationSettings(metrics=MetricSettings(also=("linear_kappa",)))
    EvaluationSettings(metrics=MetricSettings(also=("all",)))


@pytest.mark.parametrize(("method", "name"), [("percentile", "percentile"), ("bca", "bca"), ("analytic", "delong")])
def test_every_kind_of_interval_is_named_beside_the_number(
    make_predictions: MakePredictions, method: IntervalMethod, name: str
) -> None:
    settings = EvaluationSettings(replicates=200, interval=method, stratified=True)
    evaluation = evaluate(make_predictions(14), settings)
    headline = evaluation.headline("test")
    assert headline is not None
    assert headline.interval == name
    assert headline.low is not None
    assert headline.high is not None
    assert headline.low < (headline.value or 0) < headline.high
    assert evaluation.stratified


def test_formulas_need_no_warning_that_resamples_are_too_few(make_predictions: MakePredictions) -> None:
    predictions = make_predictions(15)
    told = [evaluate(predictions, EvaluationSettings(replicates=100, interval=name)) for name in ("bca", "analytic")]
    assert [any("bootstrap intervals are too narrow" in line for line in one.warnings) for one in told] == [True, False]
    assert all(any("an AUC of" in line for line in one.warnings) for one in told)


def test_the_mean_area_of_several_classes_is_resampled_and_so_needs_the_warning(
    make_predictions: MakePredictions,
) -> None:
    found = evaluate(make_predictions(15, classes=("a", "b", "c")), EvaluationSettings(replicates=100))
    area = found.headline("test")
    assert area is not None
    assert area.interval == "percentile"
    assert any("bootstrap intervals are too narrow" in line for line in found.warnings)
