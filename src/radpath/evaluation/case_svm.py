"""The trained rule from images to cases: a support vector machine on each case's largest probabilities.

In: features of cases, their truth and their sides. Out: one score a case and class, in [0, 1]. Test cases have no part
in anything that is fitted here: neither in the scaling, nor in the choice of the kernel, nor in the machine. Cases that
the machine is trained on get their score from machines that were trained without them; they did help to choose the
kernel and the sigmoid, so that their scores are a little too good.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float64

from radpath.errors import DataError
from radpath.records import Side
from radpath.seeding import derived_seed

ENOUGH_CASES: Final = 20
"""Validation cases of each class from which on the SVM is trained on validation cases alone: with fewer, training cases
help more than it harms that the network knows them by heart (benchmarks/case_svm.py)."""

FEWEST_CASES: Final = 3
"""Cases of each class that the SVM needs at all: it is chosen by cross-validation with at least as many folds."""

_MOST_FOLDS: Final = 5
_GRID: Final[list[dict[str, list[Any]]]] = [
    {"svc__kernel": ["linear"], "svc__C": [0.01, 0.1, 1.0]},
    {"svc__kernel": ["rbf"], "svc__C": [0.1, 1.0, 10.0]},
]


@dataclass(frozen=True, kw_only=True, eq=False)
class SvmFit:
    """The scores, and what they were learned from."""

    scores: Float64[np.ndarray, "cases scores"]
    fitted_on: tuple[Side, ...]
    num_cases: int
    """Cases that the machines were trained on."""


def fit_svm(
    features: Float64[np.ndarray, "scores cases features"],
    truth: tuple[str | None, ...],
    sides: tuple[Side, ...],
    *,
    of_classes: list[str],
    seed: int,
) -> SvmFit:
    """Train one machine for each set of features, and score every case.

    Args:
        features: one set for each of ``of_classes``; NaN for a stain that a case lacks.
        truth: the class of each case; ``None`` where it is not known.
        sides: of the cases.
        of_classes: the class that each machine tells from the rest: the positive one of two, or all of more than two.
        seed: of the folds.

    Raises:
        DataError: training and validation have too few cases of a class.
    """
    where, known = np.array(sides), np.array([name is not None for name in truth])
    answers = [np.array([name == of_class for name in truth]) for of_class in of_classes]
    fitted_on = _sides_to_fit(answers, known, where)
    fitting = np.isin(where, fitted_on) & known
    scores = [_scores(of_class, answer, fitting, seed=seed) for of_class, answer in zip(features, answers, strict=True)]
    return SvmFit(scores=np.stack(scores, axis=1), fitted_on=fitted_on, num_cases=int(fitting.sum()))


def _sides_to_fit(answers: list[np.ndarray], known: np.ndarray, where: np.ndarray) -> tuple[Side, ...]:
    """Return validation alone where it has enough cases.

    The network has learned its training images by heart, so their probabilities are surer than those of new images, and
    a machine that is trained on them expects as much of the test. With few validation cases they help nevertheless.
    """

    def fewest(*among: Side) -> int:
        taken = known & np.isin(where, among)
        return min(min(int(answer[taken].sum()), int((~answer)[taken].sum())) for answer in answers)

    if fewest("validation") >= ENOUGH_CASES:
        return ("validation",)
    if fewest("train", "validation") >= FEWEST_CASES:
        return ("train", "validation")
    raise DataError(
        f"the SVM of cases needs {FEWEST_CASES} labelled cases of each class and of the rest on training and "
        f"validation, and there are {fewest('train', 'validation')}; set evaluation.cases.rule to 'mean'"
    )


def _scores(
    features: Float64[np.ndarray, "cases features"],
    is_positive: Bool[np.ndarray, " cases"],
    fitting: Bool[np.ndarray, " cases"],
    *,
    seed: int,
) -> Float64[np.ndarray, " cases"]:
    """Return the probability of the class: of fitted cases by cross-validation, of the others by the machine of all."""
    # Late: scikit-learn takes a second to import, and only this rule needs it.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict

    known, answer = features[fitting], is_positive[fitting]
    rarest = int(min(answer.sum(), (~answer).sum()))
    folds = StratifiedKFold(min(_MOST_FOLDS, rarest), shuffle=True, random_state=derived_seed(seed, "svm") % 2**32)
    search = GridSearchCV(_machine(), _GRID, scoring="roc_auc", cv=folds).fit(known, answer)
    best = search.best_estimator_
    margins = np.empty(len(features))
    margins[fitting] = cross_val_predict(best, known, answer, cv=folds, method="decision_function")
    margins[~fitting] = best.decision_function(features[~fitting]) if (~fitting).any() else 0.0
    # Platt (1999): margins of cases that a machine has not seen become probabilities.
    sigmoid = LogisticRegression().fit(margins[fitting, None], answer)
    probabilities: np.ndarray = sigmoid.predict_proba(margins[:, None])[:, 1]
    return probabilities


def _machine() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """Return the unfitted machine; a stain that a case lacks gets the mean of the cases that have it."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return Pipeline(
        [
            ("missing", SimpleImputer(keep_empty_features=True)),
            ("scaler", StandardScaler()),
            ("svc", SVC(class_weight="balanced")),
        ]
    )
