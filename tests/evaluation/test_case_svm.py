"""The machine learns from validation cases, and nothing of a test case ever reaches it."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from radpath.errors import DataError
from radpath.evaluation.case_svm import ENOUGH_CASES, fit_svm
from radpath.records import SIDES, Side


def made_cases(
    counts: dict[Side, int], *, seed: int = 0, classes: tuple[str, ...] = ("benign", "malignant"), gap: float = 1.5
) -> tuple[np.ndarray, tuple[str, ...], tuple[Side, ...]]:
    """Return features (one class, cases, 4) whose level tells the last class from the others."""
    rng = np.random.default_rng(seed)
    sides = tuple(side for side in SIDES for _ in range(counts.get(side, 0)))
    truth = tuple(classes[place % len(classes)] for place in range(len(sides)))
    level = np.array([name == classes[-1] for name in truth]) * gap
    features = np.sort(rng.normal(size=(len(sides), 4)) + level[:, None], axis=1)[:, ::-1]
    return features[None].copy(), truth, sides


MANY: dict[Side, int] = {"train": 40, "validation": 40, "test": 40}


def test_it_finds_what_a_plain_machine_finds() -> None:
    features, truth, sides = made_cases(MANY)
    fitted = fit_svm(features, truth, sides, of_classes=["malignant"], seed=0)
    answer, where = np.array(truth) == "malignant", np.array(sides)
    known, test = where == "validation", where == "test"
    scaler = StandardScaler().fit(features[0, known])
    plain = SVC(kernel="linear").fit(scaler.transform(features[0, known]), answer[known])
    oracle = roc_auc_score(answer[test], plain.decision_function(scaler.transform(features[0, test])))
    assert oracle > 0.9
    assert roc_auc_score(answer[test], fitted.scores[test, 0]) == pytest.approx(oracle, abs=0.05)
    assert ((fitted.scores >= 0) & (fitted.scores <= 1)).all()


def test_enough_validation_cases_teach_it_alone_and_few_with_the_training_cases() -> None:
    few: dict[Side, int] = {**MANY, "validation": 2 * ENOUGH_CASES - 1}
    for counts, expected in ((MANY, ("validation",)), (few, ("train", "validation"))):
        features, truth, sides = made_cases(counts)
        fitted = fit_svm(features, truth, sides, of_classes=["malignant"], seed=0)
        assert fitted.fitted_on == expected
        assert fitted.num_cases == sum(counts[side] for side in fitted.fitted_on)


@pytest.mark.parametrize("counts", [MANY, {"train": 20, "validation": 10, "test": 20}])
def test_a_leak_planted_in_the_test_cases_is_not_taken(counts: dict[Side, int]) -> None:
    """A fifth feature gives the truth of every test case away; a machine that saw them would be nearly perfect."""
    features, truth, sides = made_cases(counts, gap=0.0)
    is_test, answer = np.array(sides) == "test", np.array(truth) == "malignant"
    secret = np.where(is_test, answer, np.random.default_rng(3).random(len(truth)) < 0.5) * 5.0
    with_secret = np.concatenate([features, secret[None, :, None]], axis=2)
    leaky = fit_svm(with_secret[:, is_test], tuple(np.array(truth)[is_test]), ("validation",) * is_test.sum(),
                    of_classes=["malignant"], seed=0)  # fmt: skip
    assert roc_auc_score(answer[is_test], leaky.scores[:, 0]) > 0.95
    scores = fit_svm(with_secret, truth, sides, of_classes=["malignant"], seed=0).scores
    other = {"benign": "malignant", "malignant": "benign"}
    swapped = tuple(other[name] if there else name for name, there in zip(truth, is_test, strict=True))
    lied = fit_svm(with_secret, swapped, sides, of_classes=["malignant"], seed=0).scores
    assert lied.tobytes() == scores.tobytes()
    first, *rest = np.flatnonzero(is_test)
    moved = with_secret.copy()
    moved[0, rest] += 100.0
    untouched = fit_svm(moved, truth, sides, of_classes=["malignant"], seed=0).scores
    assert untouched[~is_test].tobytes() == scores[~is_test].tobytes()
    assert untouched[first].tobytes() == scores[first].tobytes()


def test_cases_it_learned_from_are_scored_by_machines_without_them() -> None:
    """With pure noise in many dimensions a machine recognises every case that it was trained on."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 60, 80))
    truth = tuple("malignant" if place % 2 else "benign" for place in range(60))
    scores = fit_svm(features, truth, ("validation",) * 60, of_classes=["malignant"], seed=0).scores
    area = roc_auc_score(np.array(truth) == "malignant", scores[:, 0])
    assert area < 0.8


def test_several_classes_have_a_machine_each() -> None:
    classes = ("a", "b", "c")
    one, truth, sides = made_cases({"train": 3, "validation": 36, "test": 36}, classes=classes, gap=3.0)
    features = np.concatenate([one * (name == "c") for name in classes])
    features[1] = one[0] * 0.0 + (np.array(truth) == "b")[:, None]
    scores = fit_svm(features, truth, sides, of_classes=list(classes), seed=0).scores
    test = np.array(sides) == "test"
    assert scores.shape == (75, 3)
    for column in (1, 2):
        assert roc_auc_score((np.array(truth) == classes[column])[test], scores[test, column]) > 0.9


def test_a_stain_that_a_case_lacks_counts_as_an_average_one() -> None:
    features, truth, sides = made_cases(MANY)
    lacking = features.copy()
    rows = [0, 45, 85]
    lacking[0, rows, 2:] = np.nan
    scores = fit_svm(lacking, truth, sides, of_classes=["malignant"], seed=0).scores
    assert np.isfinite(scores).all()
    nowhere = np.concatenate([features, np.full_like(features, np.nan)], axis=2)
    whole = fit_svm(features, truth, sides, of_classes=["malignant"], seed=0).scores
    assert fit_svm(nowhere, truth, sides, of_classes=["malignant"], seed=0).scores == pytest.approx(whole, abs=0.1)


def test_the_seed_decides_the_folds_and_nothing_else_is_random() -> None:
    features, truth, sides = made_cases(MANY, gap=0.5)
    same = [fit_svm(features, truth, sides, of_classes=["malignant"], seed=1).scores.tobytes() for _ in range(2)]
    assert same[0] == same[1]


def test_too_few_cases_are_refused() -> None:
    features, truth, sides = made_cases({"train": 3, "validation": 2, "test": 9})
    with pytest.raises(DataError, match=r"^the SVM of cases needs 3 labelled cases .* there are 2; set evaluation"):
        fit_svm(features, truth, sides, of_classes=["malignant"], seed=0)
