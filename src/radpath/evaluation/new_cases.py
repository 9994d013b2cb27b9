"""New images become decisions of cases, by the rule and with the threshold that a run was judged with.

In: predictions of new images, those of the run, and its evaluation. Out: one decision a case. Nothing is learned from
new images. The SVM of cases is trained again from the run's own predictions, which gives the same machine.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from radpath.errors import DataError, StaleError
from radpath.evaluation.cases import CasePredictions, CaseSettings, pool_cases
from radpath.evaluation.estimates import CaseEvaluation, Evaluation
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import decide

_OLD, _NEW = "0", "1"
"""Before a name: the run's cases sort before new ones, and a new case may be called like one of the run."""

_SAME: float = 1e-6
"""Other versions of scikit-learn round differently by far less, and choose another machine by far more."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CaseDecisions:
    """One row a case, in the order of the cases' names."""

    cases: CasePredictions
    decisions: tuple[str, ...]
    """The class that each case is decided for."""


def decide_new_cases(
    new: Predictions, *, seen: Predictions, pooled: Predictions, evaluation: Evaluation
) -> CaseDecisions | None:
    """Return the decisions of new cases; None where none has several images, or the run was not judged by case.

    Args:
        new: predictions of new images, on the test side; truth is not looked at.
        seen: the run's predictions of images.
        pooled: the run's predictions of cases.
        evaluation: of the run.

    Raises:
        DataError: the SVM of cases knows nothing of a stain of the new images.
        StaleError: the SVM that is trained again is not the one that the run was judged with.
    """
    by_case = evaluation.by_case
    if by_case is None or not any(count > 1 for count in Counter(new.cases).values()):
        return None
    if by_case.rule == "svm":
        _require_known_stains(new, seen, by_case)
    together = pool_cases(
        _joined(seen, new), _settings_of(by_case), threshold=evaluation.threshold, seed=by_case.numbers.seed
    )
    if together is None:
        raise StaleError("the run's case predictions are not those of its images; evaluate it again: radpath evaluate")
    old, cases = (_those_of(together, first) for first in (_OLD, _NEW))
    if by_case.rule == "svm":
        _require_same_scores(old.predictions, pooled)
    places = decide(
        cases.predictions.probabilities, classes=cases.predictions.classes, threshold=by_case.numbers.threshold
    )
    return CaseDecisions(cases=cases, decisions=tuple(cases.predictions.classes[place] for place in places))


def _settings_of(by_case: CaseEvaluation) -> CaseSettings:
    named = {"rule": by_case.rule, "stains": by_case.stains}
    return CaseSettings.model_validate(named if by_case.k is None else {**named, "k": by_case.k})


def _joined(seen: Predictions, new: Predictions) -> Predictions:
    """Return the run's images and the new ones, without truth."""
    columns = [new.classes.index(name) for name in seen.classes]
    new_stains = new.stains or (None,) * len(new)
    return Predictions(
        record_ids=(*_named(_OLD, seen.record_ids), *_named(_NEW, new.record_ids)),
        cases=(*_named(_OLD, seen.cases), *_named(_NEW, new.cases)),
        sides=(*seen.sides, *new.sides),
        truth=(*seen.truth, *(None,) * len(new)),
        probabilities=np.concatenate([seen.probabilities, new.probabilities[:, columns]]),
        classes=seen.classes,
        # A run without stains pools a case's images together, and so are new ones.
        stains=None if seen.stains is None else (*seen.stains, *new_stains),
    )


def _named(first: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{first}{name}" for name in names)


def _those_of(cases: CasePredictions, first: str) -> CasePredictions:
    """Return the cases whose names begin so, under the names that they came with."""
    found = cases.predictions
    places = [place for place, name in enumerate(found.cases) if name.startswith(first)]
    names = tuple(found.cases[place][len(first) :] for place in places)
    rows = dataclasses.replace(
        found,
        record_ids=names,
        cases=names,
        sides=tuple(found.sides[place] for place in places),
        truth=tuple(found.truth[place] for place in places),
        probabilities=found.probabilities[places],
    )
    counts = tuple(cases.num_images[place] for place in places)
    return CasePredictions(predictions=rows, num_images=counts, num_ambiguous=0, svm=None)


def _require_known_stains(new: Predictions, seen: Predictions, by_case: CaseEvaluation) -> None:
    if by_case.stains != "apart" or seen.stains is None:
        return
    unknown = sorted({stain or "none" for stain in set(new.stains or (None,)) - set(seen.stains)})
    if unknown:
        raise DataError(
            f"the SVM of cases has not seen the stain {', '.join(unknown)}; leave these images out, or name the stains "
            "as the run's images do"
        )


def _require_same_scores(again: Predictions, pooled: Predictions) -> None:
    same = again.cases == pooled.cases and np.allclose(again.probabilities, pooled.probabilities, rtol=0, atol=_SAME)
    if not same:
        raise StaleError(
            "the SVM of cases, trained again, does not say what case_predictions.csv says (is scikit-learn another "
            "version?); evaluate the run again: radpath evaluate"
        )
