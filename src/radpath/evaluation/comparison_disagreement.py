"""Images on which models disagree: one decided rightly, another wrongly.

In: the same contenders as a comparison. Out: one ``Disagreement`` an image, to look at and to list. Whether so many are
more than chance is left to McNemar's test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from radpath import files
from radpath.evaluation.comparison import Contender
from radpath.evaluation.thresholds import decide
from radpath.records import Side


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """One image that some models decided rightly and others wrongly; tuples have one value a model."""

    record_id: str
    case: str
    truth: str
    decisions: tuple[str, ...]
    truth_probabilities: tuple[float, ...]
    """What each model gave to the true class, 0 to 1."""

    @property
    def is_right(self) -> tuple[bool, ...]:
        """Which models decided rightly."""
        return tuple(decision == self.truth for decision in self.decisions)


def disagreements(contenders: Sequence[Contender], side: Side) -> tuple[Disagreement, ...]:
    """Return the labelled images of a side on which the models disagree, in the order of their record ids.

    The contenders are those of a comparison, so they have the same images on this side.
    """
    looks = [_decided(one, side) for one in contenders]
    found = []
    for record_id, (case, truth, _, _) in sorted(looks[0].items()):
        told = [look[record_id] for look in looks]
        decisions = tuple(decision for _, _, decision, _ in told)
        if 0 < sum(decision == truth for decision in decisions) < len(decisions):
            probabilities = tuple(probability for _, _, _, probability in told)
            found.append(
                Disagreement(
                    record_id=record_id, case=case, truth=truth, decisions=decisions, truth_probabilities=probabilities
                )
            )
    return tuple(found)


def only_first_right(found: Sequence[Disagreement], first: int, second: int) -> list[Disagreement]:
    """Return the images that the model in place ``first`` decided rightly and that in place ``second`` wrongly.

    Where the two probabilities of the true class are furthest apart comes first.
    """
    chosen = [one for one in found if one.is_right[first] and not one.is_right[second]]
    return sorted(chosen, key=lambda one: one.truth_probabilities[second] - one.truth_probabilities[first])


def write_disagreements(found: Sequence[Disagreement], names: Sequence[str], path: Path) -> None:
    """Write one row an image, with each model's decision and its probability of the true class."""
    columns = [
        pl.Series("record_id", [one.record_id for one in found], dtype=pl.String),
        pl.Series("case", [one.case for one in found], dtype=pl.String),
        pl.Series("truth", [one.truth for one in found], dtype=pl.String),
    ]
    for place, name in enumerate(names):
        decisions, probabilities = f"decision:{name}", f"truth_probability:{name}"
        columns.append(pl.Series(decisions, [one.decisions[place] for one in found], dtype=pl.String))
        columns.append(pl.Series(probabilities, [one.truth_probabilities[place] for one in found], dtype=pl.Float64))
    with files.whole_file(path) as unfinished:
        pl.DataFrame(columns).write_csv(unfinished)


def _decided(contender: Contender, side: Side) -> dict[str, tuple[str, str, str, float]]:
    """Return case, truth, decision and the probability of the true class of each labelled image of a side."""
    known = contender.predictions
    decisions = decide(known.probabilities, classes=known.classes, threshold=contender.threshold)
    place = {name: column for column, name in enumerate(known.classes)}
    return {
        record_id: (
            known.cases[row],
            truth,
            known.classes[decisions[row]],
            float(known.probabilities[row, place[truth]]),
        )
        for row, (record_id, truth) in enumerate(zip(known.record_ids, known.truth, strict=True))
        if known.sides[row] == side and truth is not None
    }
