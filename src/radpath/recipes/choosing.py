"""Which images are explained, and for which class: of a run, or new ones.

In: what the user asked for, and the predictions of a run. Out: one ``Wanted`` an image, in the order in which they
matter: the worst mistakes first where mistakes were asked for, else as in the table.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from radpath.errors import SettingsError
from radpath.evaluation.predictions import Predictions
from radpath.records import Side

GALLERY: Final = 12
"""Of the images that nobody chose: so many mistakes, and so many decisions that are right."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """What the user asked for; nothing at all: the worst mistakes and the surest right decisions of a side."""

    images: tuple[str, ...] = ()
    """Record ids, of any side."""
    side: Side | None = None
    """All images of a side; with one of the next two, those of this side."""
    truth: str | None = None
    """All images of a class."""
    mistakes: bool = False
    """All images that were decided wrongly, the worst first."""
    most: int | None = None
    """At most so many, the first of them."""
    explained_class: str | None = None
    """The class to explain; None: for each image the one that was decided."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """One image to explain."""

    record_id: str
    case: str
    side: str
    truth: str | None
    decision: str
    explained_class: str
    probability: float
    """Of the class that is explained."""


def choose(
    predictions: Predictions, decisions: Int64[np.ndarray, " images"], selection: Selection, *, usual_side: Side
) -> tuple[Wanted, ...]:
    """Return the images of a run that were asked for.

    Args:
        predictions: of the run.
        decisions: for each image the column of its class.
        selection: what was asked for.
        usual_side: the side that is taken where none is named.

    Raises:
        SettingsError: a name is unknown, or no image is left.
    """
    _require_classes(selection, predictions.classes)
    rows = _rows(predictions, decisions, selection, selection.side or usual_side)
    if not rows:
        raise SettingsError(
            "no image of the run fits what was asked for; ask for another --side or --truth, or leave --mistakes out"
        )
    chosen = rows if selection.most is None else rows[: selection.most]
    return tuple(_wanted(predictions, decisions, row, selection.explained_class) for row in chosen)


def choose_new(
    record_ids: Sequence[str],
    cases: Sequence[str],
    probabilities: Float64[np.ndarray, "images classes"],
    decisions: Int64[np.ndarray, " images"],
    selection: Selection,
    *,
    classes: tuple[str, ...],
) -> tuple[Wanted, ...]:
    """Return new images, whose truth nobody knows.

    Raises:
        SettingsError: the selection asks for what only a run's images have, or the class is unknown.
    """
    if selection.side or selection.truth or selection.mistakes or selection.images:
        raise SettingsError(
            "--new images have no side and no truth; leave --images, --side, --truth and --mistakes out"
        )
    _require_classes(selection, classes)
    wanted = []
    for row, (record_id, case) in enumerate(zip(record_ids, cases, strict=True)):
        decision = classes[decisions[row]]
        name = selection.explained_class or decision
        probability = float(probabilities[row, classes.index(name)])
        wanted.append(
            Wanted(
                record_id=record_id,
                case=case,
                side="",
                truth=None,
                decision=decision,
                explained_class=name,
                probability=probability,
            )
        )
    return tuple(wanted if selection.most is None else wanted[: selection.most])


def _require_classes(selection: Selection, classes: tuple[str, ...]) -> None:
    for option, name in (("--class", selection.explained_class), ("--truth", selection.truth)):
        if name is not None and name not in classes:
            raise SettingsError(f"{option} is '{name}', which is none of the classes {', '.join(classes)}")


def _rows(
    predictions: Predictions, decisions: Int64[np.ndarray, " images"], selection: Selection, side: Side
) -> list[int]:
    if selection.images:
        return _rows_of(predictions, selection)
    there = [row for row in range(len(predictions)) if predictions.sides[row] == side]
    if selection.truth is not None:
        there = [row for row in there if predictions.truth[row] == selection.truth]
    if selection.mistakes:
        return _mistakes(predictions, decisions, there)
    if selection.side is not None or selection.truth is not None:
        return there
    return _mistakes(predictions, decisions, there)[:GALLERY] + _surest(predictions, decisions, there)[:GALLERY]


def _rows_of(predictions: Predictions, selection: Selection) -> list[int]:
    if selection.side or selection.truth or selection.mistakes:
        raise SettingsError("--images names the images already; leave --side, --truth and --mistakes out")
    place = {record_id: row for row, record_id in enumerate(predictions.record_ids)}
    unknown = [record_id for record_id in selection.images if record_id not in place]
    if unknown:
        raise SettingsError(
            f"--images names '{unknown[0]}', which is no record of predictions.csv; for other files use --new"
        )
    return [place[record_id] for record_id in dict.fromkeys(selection.images)]


def _mistakes(predictions: Predictions, decisions: Int64[np.ndarray, " images"], rows: Sequence[int]) -> list[int]:
    """Return the wrongly decided rows, the ones whose truth was thought least probable first."""
    wrong = [
        (_probability_of_truth(predictions, row), row)
        for row in rows
        if predictions.truth[row] is not None and predictions.truth[row] != predictions.classes[decisions[row]]
    ]
    return [row for _, row in sorted(wrong)]


def _surest(predictions: Predictions, decisions: Int64[np.ndarray, " images"], rows: Sequence[int]) -> list[int]:
    right = [
        (-_probability_of_truth(predictions, row), row)
        for row in rows
        if predictions.truth[row] == predictions.classes[decisions[row]]
    ]
    return [row for _, row in sorted(right)]


def _probability_of_truth(predictions: Predictions, row: int) -> float:
    return float(predictions.probabilities[row, predictions.classes.index(predictions.truth[row] or "")])


def _wanted(
    predictions: Predictions, decisions: Int64[np.ndarray, " images"], row: int, explained_class: str | None
) -> Wanted:
    decision = predictions.classes[decisions[row]]
    name = explained_class or decision
    return Wanted(
        record_id=predictions.record_ids[row],
        case=predictions.cases[row],
        side=predictions.sides[row],
        truth=predictions.truth[row],
        decision=decision,
        explained_class=name,
        probability=float(predictions.probabilities[row, predictions.classes.index(name)]),
    )
