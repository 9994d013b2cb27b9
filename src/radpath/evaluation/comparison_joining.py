"""Predictions of several models are brought together by record id, or refused.

In: ``Predictions`` of models, of radpath or of any other program, by name. Out: the same with one order of classes,
once they are known to speak of the same images. A mean, a difference or a test of models that were judged on different
images, or of which one learned from what another is judged on, says nothing; every refusal counts and names examples.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from radpath.errors import DataError, LeakError
from radpath.evaluation.predictions import Predictions
from radpath.records import Side

_SHOWN: Final = 3
_SEEN_BEFORE: Final[dict[Side, tuple[Side, ...]]] = {
    "test": ("train", "validation"),
    "validation": ("train",),
    "train": (),
}
"""The sides that a model has used by the time it is judged on a side."""


def require_comparable(models: Mapping[str, Predictions], *, side: Side = "test") -> None:
    """Refuse models that cannot be judged together on a side: other classes or images, or a leak between them.

    Raises:
        LeakError: a case that judges one model is one that another learned from.
        DataError: classes differ, or the images of the side, their cases or their truth.
    """
    (first_name, first), *others = models.items()
    if side not in first.sides:
        raise DataError(f"{first_name} has no {side} images, so nothing could judge it; name runs with a {side} side")
    for name, other in others:
        if set(other.classes) != set(first.classes):
            raise DataError(
                f"{name} knows the classes {', '.join(other.classes)}, and {first_name} {', '.join(first.classes)}; "
                "name runs of the same classes"
            )
        _require_no_leak(first_name, first, name, other, side)
        _require_no_leak(name, other, first_name, first, side)
        _require_same_images(first_name, first, name, other, side)


def with_classes_in_order(predictions: Predictions, classes: tuple[str, ...]) -> Predictions:
    """Return the predictions with their columns in the order of ``classes``, which are the same ones."""
    if predictions.classes == classes:
        return predictions
    columns = [predictions.classes.index(name) for name in classes]
    return dataclasses.replace(predictions, classes=classes, probabilities=predictions.probabilities[:, columns])


def truth_by_record(predictions: Predictions, side: Side) -> dict[str, str | None]:
    """Return the truth of each image of a side by its record id."""
    rows = zip(predictions.record_ids, predictions.truth, predictions.sides, strict=True)
    return {record_id: truth for record_id, truth, there in rows if there == side}


def named(names: Sequence[str]) -> str:
    """Return the first few names, and whether there are more.

    >>> named(["a", "b", "c", "d"])
    'a, b, c, …'
    """
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _require_no_leak(name: str, judged: Predictions, other_name: str, learned: Predictions, side: Side) -> None:
    tested = _cases_on(judged, side)
    used = _SEEN_BEFORE[side]
    seen = sorted(tested & set().union(*(_cases_on(learned, one) for one in used)))
    if seen:
        places = " or ".join(("training" if one == "train" else one) for one in used)
        raise LeakError(
            f"{len(seen):,} {side} cases of {name} are {places} cases of {other_name} "
            f"({named(seen)}); name runs that have the same {side} side"
        )


def _require_same_images(name: str, first: Predictions, other_name: str, other: Predictions, side: Side) -> None:
    truth, other_truth = truth_by_record(first, side), truth_by_record(other, side)
    lacking = sorted(truth.keys() ^ other_truth.keys())
    if lacking:
        raise DataError(
            f"{len(lacking):,} images are on the {side} side of only one of {name} and {other_name} "
            f"({named(lacking)}); name runs that have the same {side} side"
        )
    case, other_case = (dict(zip(one.record_ids, one.cases, strict=True)) for one in (first, other))
    moved = sorted(record_id for record_id in truth if case[record_id] != other_case[record_id])
    if moved:
        raise DataError(
            f"{len(moved):,} {side} images belong to another case in {other_name} than in {name} ({named(moved)}); "
            "name runs with the same cases"
        )
    differing = sorted(record_id for record_id in truth if truth[record_id] != other_truth[record_id])
    if differing:
        raise DataError(
            f"{len(differing):,} {side} images have another label in {other_name} than in {name} ({named(differing)}); "
            "name runs with the same labels"
        )


def _cases_on(predictions: Predictions, side: Side) -> set[str]:
    return {case for case, there in zip(predictions.cases, predictions.sides, strict=True) if there == side}
