"""Asks whether a label, or the side of the split, can be told from columns that should say nothing of it.

In: ``Telltale`` columns, what is to be told, and the cases. Out: how well each column tells it, with an interval, and
whether that is more than chance. The model is the smallest there is: how frequent each class is in each bin of a
column, counted on other cases (five folds) and smoothed; for all columns together, the product (naive Bayes). The
areas under the ROC curve are compared with those of the same columns after the answers were shuffled among cases; the
largest area of all columns in a shuffle is what a column must beat, so that looking at many columns raises no false
alarm (Westfall and Young 1993).
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int, UInt16

from radpath.data.audit.telltales import Origin, Telltale
from radpath.seeding import generator_for

MOST_CHANCE: Final = 0.01
"""A column is reported where chance alone gives any column such an area in at most this share of shuffles."""
SMALLEST_AREA: Final = 0.6
"""A column is reported from this area on: in a million images less is significant, and does not matter."""

_FOLDS: Final = 5
_SHUFFLES: Final = 200
_RESAMPLES: Final = 200
_TAILS: Final = (0.025, 0.975)
_SMOOTHING: Final = 1.0  # images of average composition added to each bin
_SMALLEST_SHARE: Final = 1e-6  # of a class in a bin, so that no column alone says never
_RANKS: Final = 100
_SINGLE_LABEL_SHARE: Final = 0.9  # of the cases: below it, labels belong to images and not to cases


@dataclasses.dataclass(frozen=True, kw_only=True)
class Area:
    """An area under the ROC curve on cases that were not counted, the mean over classes, one against the rest."""

    value: float
    low: float
    """Lower end of the 95 % interval, cases resampled."""
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confounder:
    """How well one column tells the answer."""

    column: str
    origin: Origin
    area: Area
    chance: float
    """Share of shuffles in which the best of all columns did as well; 1 / 201 at the least."""

    @property
    def is_alarm(self) -> bool:
        """Whether a person should know."""
        return self.chance <= MOST_CHANCE and self.area.value >= SMALLEST_AREA


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfounderCheck:
    """What all columns say about one question."""

    columns: tuple[Confounder, ...]
    """The best first; empty where there are too few cases, one answer only, or nothing to tell it from."""
    together: Area | None
    """All columns together."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Question:
    """Answers and cases numbered from 0, and the fold of each image."""

    answers: Int[np.ndarray, " images"]
    cases: Int[np.ndarray, " images"]
    folds: Int[np.ndarray, " images"]
    num_classes: int
    num_cases: int


def find_confounders(
    telltales: Sequence[Telltale], answers: pl.Series, cases: pl.Series, *, seed: int = 0
) -> ConfounderCheck:
    """Return how well each column tells the answers, and all of them together.

    Args:
        telltales: the columns; images in the order of ``answers``.
        answers: the class (or side) of each image.
        cases: the case of each image; folds, shuffles and resamples never divide one.
        seed: of the folds, the shuffles and the resamples.
    """
    classes, numbers = np.unique(answers.cast(pl.String).to_numpy(), return_inverse=True)
    names, owners = np.unique(cases.cast(pl.String).to_numpy(), return_inverse=True)
    if len(classes) < 2 or len(names) < 2 * _FOLDS or not telltales:
        return ConfounderCheck(columns=(), together=None)
    generator = generator_for(seed, "confounders")
    folds = generator.permutation(np.arange(len(names)) % _FOLDS)[owners]
    question = _Question(answers=numbers, cases=owners, folds=folds, num_classes=len(classes), num_cases=len(names))
    chance_areas = _largest_areas_of_chance(telltales, question, generator)
    draws = _resampled_draws(question, generator)
    columns = []
    for one in telltales:
        area = _area_of(one, question, draws)
        chance = (1 + int((chance_areas >= area.value).sum())) / (1 + _SHUFFLES)
        columns.append(Confounder(column=one.name, origin=one.origin, area=area, chance=chance))
    columns.sort(key=lambda one: -one.area.value)
    return ConfounderCheck(columns=tuple(columns), together=_area_together(telltales, question, draws))


def _largest_areas_of_chance(
    telltales: Sequence[Telltale], question: _Question, generator: np.random.Generator
) -> Float64[np.ndarray, " shuffles"]:
    """Return, for each shuffle of the answers, the largest area that any column has."""
    shuffled = _shuffler(question, generator)
    areas = np.zeros(_SHUFFLES)
    for number in range(_SHUFFLES):
        other = dataclasses.replace(question, answers=shuffled())
        counts = (_counts(one, other, None) for one in telltales)
        areas[number] = max(_area(some, _wins(_scores(some))) for some in counts)
    return areas


def _shuffler(question: _Question, generator: np.random.Generator) -> Callable[[], np.ndarray]:
    """Return a function that shuffles answers as chance could have dealt them.

    Where cases have one answer each, cases exchange answers. Where a case has images of several classes (cells of one
    slide), images exchange answers within the case.
    """
    answers, cases = question.answers, question.cases
    per_case = np.zeros((question.num_cases, question.num_classes), dtype=np.int64)
    np.add.at(per_case, (cases, answers), 1)
    if ((per_case > 0).sum(axis=1) == 1).mean() >= _SINGLE_LABEL_SHARE:
        of_case = per_case.argmax(axis=1)
        return lambda: generator.permutation(of_case)[cases]
    by_case = np.argsort(cases, kind="stable")

    def within_cases() -> np.ndarray:
        shuffled = np.empty_like(answers)
        shuffled[np.lexsort((generator.random(len(cases)), cases))] = answers[by_case]
        return shuffled

    return within_cases


def _resampled_draws(question: _Question, generator: np.random.Generator) -> UInt16[np.ndarray, "resamples cases"]:
    """Return how often each case was drawn with replacement."""
    share = np.full(question.num_cases, 1 / question.num_cases)
    return generator.multinomial(question.num_cases, share, size=_RESAMPLES).astype(np.uint16)


def _area_of(telltale: Telltale, question: _Question, draws: UInt16[np.ndarray, "resamples cases"]) -> Area:
    scores = _scores(_counts(telltale, question, None))
    return _summarised(_areas(telltale, question, draws, scores))


def _areas(
    telltale: Telltale,
    question: _Question,
    draws: UInt16[np.ndarray, "resamples cases"],
    scores: Float64[np.ndarray, "folds bins classes"],
) -> Float64[np.ndarray, " resamples_and_one"]:
    """Return the area over all cases, and then over each resample."""
    wins = _wins(scores)
    weights = itertools.chain([None], (one[question.cases] for one in draws))
    return np.array([_area(_counts(telltale, question, one), wins) for one in weights])


def _summarised(areas: Float64[np.ndarray, " resamples_and_one"]) -> Area:
    low, high = np.quantile(areas[1:], _TAILS)
    return Area(value=float(areas[0]), low=float(low), high=float(high))


def _counts(
    telltale: Telltale, question: _Question, weights: np.ndarray | None
) -> Float64[np.ndarray, "folds bins classes"]:
    shape = (_FOLDS, telltale.num_bins, question.num_classes)
    cells = (question.folds * shape[1] + telltale.bins) * shape[2] + question.answers
    return np.bincount(cells, weights=weights, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)


def _scores(counts: Float64[np.ndarray, "folds bins classes"]) -> Float64[np.ndarray, "folds bins classes"]:
    """Return how frequent each class is in each bin, counted outside each fold."""
    others = counts.sum(axis=0) - counts
    usual = others.sum(axis=1, keepdims=True)
    usual = usual / usual.sum(axis=2, keepdims=True).clip(min=1)
    scores: np.ndarray = (others + _SMOOTHING * usual) / (others.sum(axis=2, keepdims=True) + _SMOOTHING)
    return scores


def _wins(scores: Float64[np.ndarray, "folds bins classes"]) -> Float64[np.ndarray, "folds classes bins bins"]:
    """Return 1 where a class's score in the first bin is higher than in the second, a half where it is the same."""
    by_class = scores.transpose(0, 2, 1)
    wins: np.ndarray = (np.sign(by_class[..., :, None] - by_class[..., None, :]) + 1) / 2
    return wins


def _area(
    counts: Float64[np.ndarray, "folds bins classes"], wins: Float64[np.ndarray, "folds classes bins bins"]
) -> float:
    """Return the share of pairs (a class, the rest) of one fold in which the class has the higher score, ties half."""
    of_class = counts.transpose(0, 2, 1)
    rest = counts.sum(axis=2)[:, None, :] - of_class
    won = (of_class * np.matmul(wins, rest[..., None])[..., 0]).sum(axis=(0, 2))
    pairs = (of_class.sum(axis=2) * rest.sum(axis=2)).sum(axis=0)
    return float((won[pairs > 0] / pairs[pairs > 0]).mean()) if (pairs > 0).any() else 0.5


def _area_together(
    telltales: Sequence[Telltale], question: _Question, draws: UInt16[np.ndarray, "resamples cases"]
) -> Area:
    """Multiply the columns' frequencies (naive Bayes), and rank images by each class's share of the product."""
    evidence = np.zeros((len(question.answers), question.num_classes))
    for one in telltales:
        evidence += np.log(_scores(_counts(one, question, None))[question.folds, one.bins].clip(min=_SMALLEST_SHARE))
    evidence -= np.logaddexp.reduce(evidence, axis=1, keepdims=True)
    areas = np.zeros(1 + len(draws))
    for number in range(question.num_classes):
        against_rest = dataclasses.replace(question, answers=(question.answers == number).astype(int), num_classes=2)
        ranked = Telltale(name="together", origin="file", bins=_ranks(evidence[:, number]), num_bins=_RANKS)
        scores = np.broadcast_to(np.arange(_RANKS)[:, None] * np.array([-1.0, 1.0]), (_FOLDS, _RANKS, 2))
        areas += _areas(ranked, against_rest, draws, scores) / question.num_classes
    return _summarised(areas)


def _ranks(scores: Float64[np.ndarray, " images"]) -> Int[np.ndarray, " images"]:
    edges = np.quantile(scores, np.linspace(0, 1, _RANKS + 1)[1:-1])
    return np.searchsorted(edges, scores, side="right").astype(np.int64)
