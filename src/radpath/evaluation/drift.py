"""Whether new images, and what the model says of them, are like those that it was made with; no labels are needed.

In: predictions of the images that a run has seen and of new ones, and what is known of both. Out: for each
characteristic of the images and each output a two-sample test, how large the difference is, and Holm's correction over
all tests. New images are compared with the training side, new outputs with those of the test side, which the model had
not learned. A case counts once: with the mean of its images' numbers, or their most frequent value. The tests are in
``two_samples``; what to do is left to people.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64
from pydantic import Field
from scipy import stats

from radpath.evaluation.characteristics import characteristic_names, in_order, numbers_of
from radpath.evaluation.multiplicity import holm
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import Threshold, decide
from radpath.evaluation.two_samples import chi_square, stability_of_numbers, stability_of_shares
from radpath.records import Side
from radpath.settings import Settings

Test = Literal["Kolmogorov-Smirnov", "chi-square", "none"]

_MOST_VALUES: Final = 30


class DriftSettings(Settings):
    """When new images count as different from those of a run."""

    level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """A test whose p-value, after Holm's correction, is below counts as a difference."""
    min_cases: Annotated[int, Field(ge=2)] = 10
    """With fewer cases on either side a characteristic is described and not tested."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shift:
    """One characteristic or output, of the images that a run has seen and of new ones."""

    name: str
    kind: Literal["input", "output"]
    compared_with: Side
    seen: str
    """In words: median and quartiles of numbers, shares of values."""
    new: str
    num_seen: int
    """Cases of which it is known."""
    num_new: int
    test: Test
    statistic: float | None
    """The largest distance of the two distribution functions (0 to 1), or chi-square."""
    p_value: float | None
    p_adjusted: float | None
    """After Holm's correction over all tests of inputs and outputs."""
    difference: float | None
    """Of numbers: the means' difference in standard deviations (the root of the two variances' mean)."""
    stability: float | None
    """Population stability index: 0 for equal shares; with many cases about 0.1 is small, above 0.25 large (Siddiqi
    2006)."""
    note: str | None
    """Why there is no test."""
    stability_by_chance: float | None = None
    """The index that so many cases show on average where nothing has changed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift:
    """Everything that was compared."""

    level: float
    min_cases: int
    num_seen_images: int
    """Of the training side."""
    num_new_images: int
    num_new_cases: int
    shifts: tuple[Shift, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Some images of some cases, with what is known of each; no truth."""

    cases: tuple[str, ...]
    values: pl.DataFrame
    """One row an image, one column a characteristic or output."""


def assess_drift(
    seen: Predictions,
    new: Predictions,
    *,
    threshold: Threshold | None,
    seen_characteristics: pl.DataFrame | None,
    new_characteristics: pl.DataFrame | None,
    settings: DriftSettings,
    seed: int = 0,
) -> Drift:
    """Compare new images with those of a run; truth is looked at nowhere.

    Args:
        seen: predictions of the run's images.
        new: predictions of new images by the same model.
        threshold: the frozen decision; None with more than two classes.
        seen_characteristics: column ``record_id`` and one column a characteristic, of the run's images.
        new_characteristics: the same of new images; columns that only one of the two has are left out.
        settings: what counts as a difference.
        seed: of the tables that are drawn where counts are too small for the chi-square distribution.
    """
    inputs = _characteristics(seen, new, seen_characteristics, new_characteristics)
    learned, reference = _rows(seen, "train"), _reference_side(seen)
    shifts: list[Shift] = []
    if inputs is not None and learned:
        old = Images(cases=tuple(seen.cases[row] for row in learned), values=inputs[0][learned])
        fresh = Images(cases=new.cases, values=inputs[1])
        shifts += _shifts(old, fresh, kind="input", compared_with="train", settings=settings, seed=seed)
    judged = _rows(seen, reference)
    old = Images(cases=tuple(seen.cases[row] for row in judged), values=_outputs(seen, threshold)[judged])
    fresh = Images(cases=new.cases, values=_outputs(new, threshold))
    shifts += _shifts(old, fresh, kind="output", compared_with=reference, settings=settings, seed=seed)
    adjusted = holm([shift.p_value for shift in shifts])
    return Drift(
        level=settings.level,
        min_cases=settings.min_cases,
        num_seen_images=len(learned),
        num_new_images=len(new),
        num_new_cases=len(set(new.cases)),
        shifts=tuple(dataclasses.replace(one, p_adjusted=p) for one, p in zip(shifts, adjusted, strict=True)),
    )


def _rows(predictions: Predictions, side: Side) -> list[int]:
    return [row for row, there in enumerate(predictions.sides) if there == side]


def _reference_side(seen: Predictions) -> Side:
    """Return the side whose outputs are most like those of images that the model never learned."""
    order: tuple[Side, ...] = ("test", "validation", "train")
    return next(side for side in order if side in seen.sides)


def _characteristics(
    seen: Predictions, new: Predictions, of_seen: pl.DataFrame | None, of_new: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return the characteristics that both tables have, in the order of the images."""
    if of_seen is None or of_new is None:
        return None
    shared = [name for name in characteristic_names(of_seen) if name in of_new.columns]
    ordered = in_order(of_seen, seen.record_ids), in_order(of_new, new.record_ids)
    return ordered[0].select(shared), ordered[1].select(shared)


def _outputs(predictions: Predictions, threshold: Threshold | None) -> pl.DataFrame:
    """Return what the model says of each image: probabilities, the decision, and how unsure it is."""
    classes, values = predictions.classes, predictions.probabilities
    shown = classes if threshold is None else (threshold.positive_class,)
    places = decide(values, classes=classes, threshold=threshold)
    entropy = stats.entropy(values, axis=1, base=2)
    return pl.DataFrame(
        {
            **{f"probability of {name}": values[:, classes.index(name)].copy() for name in shown},
            "decision": [classes[place] for place in places],
            "entropy (bits)": np.asarray(entropy, dtype=np.float64),
        }
    )


def _shifts(
    old: Images,
    fresh: Images,
    *,
    kind: Literal["input", "output"],
    compared_with: Side,
    settings: DriftSettings,
    seed: int,
) -> Iterator[Shift]:
    for name in old.values.columns:
        both = pl.concat([old.values[name].cast(pl.String), fresh.values[name].cast(pl.String)])
        numbers = numbers_of(both)
        count = len(old.values)
        shift: Shift | None
        if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > 2:
            means = _means(old.cases, numbers[:count]), _means(fresh.cases, numbers[count:])
            shift = _shift_of_numbers(*means, settings)
        else:
            texts = _values(both) if numbers is None else [None if np.isnan(one) else f"{one:.15g}" for one in numbers]
            modes = _modes(old.cases, texts[:count]), _modes(fresh.cases, texts[count:])
            shift = _shift_of_values(*modes, settings, seed)
        if shift is not None:
            yield dataclasses.replace(shift, name=name, kind=kind, compared_with=compared_with)


def _means(cases: Sequence[str], numbers: Float64[np.ndarray, " images"]) -> Float64[np.ndarray, " cases"]:
    """Return the mean of each case's known numbers; cases without any are left out."""
    known = ~np.isnan(numbers)
    _, place = np.unique(np.array(cases)[known], return_inverse=True)
    sums, counts = np.bincount(place, weights=numbers[known]), np.bincount(place)
    means: np.ndarray = sums / counts
    return means


def _values(column: pl.Series) -> list[str | None]:
    """Return a column as texts without spaces around them; None where nothing is known."""
    return [text or None for text in column.str.strip_chars().to_list()]


def _modes(cases: Sequence[str], texts: Sequence[str | None]) -> list[str]:
    """Return the most frequent known value of each case, and of equally frequent ones the first by name.

    Cases without any are left out: that nothing is known of new images says how they were recorded, and the number of
    cases shows it.
    """
    of_case: dict[str, Counter[str]] = {}
    for case, text in zip(cases, texts, strict=True):
        if text is not None:
            of_case.setdefault(case, Counter())[text] += 1
    return [min(counts.items(), key=lambda item: (-item[1], item[0]))[0] for counts in of_case.values()]


def _blank(test: Test, num_seen: int, num_new: int, *, seen: str, new: str, note: str | None) -> Shift:
    return Shift(
        name="", kind="input", compared_with="train", seen=seen, new=new, num_seen=num_seen, num_new=num_new,
        test="none" if note else test, statistic=None, p_value=None, p_adjusted=None, difference=None, stability=None,
        note=note,
    )  # fmt: skip


def _too_few(num_seen: int, num_new: int, settings: DriftSettings) -> str | None:
    fewest = min(num_seen, num_new)
    return f"not tested: {fewest} case{'' if fewest == 1 else 's'} on one side" if fewest < settings.min_cases else None


def _shift_of_numbers(
    old: Float64[np.ndarray, " cases"], new: Float64[np.ndarray, " new_cases"], settings: DriftSettings
) -> Shift:
    """Compare two samples of numbers by Kolmogorov and Smirnov's test, and say how far they are apart."""
    note = _too_few(len(old), len(new), settings)
    described = [_spread_in_words(numbers) for numbers in (old, new)]
    shift = _blank("Kolmogorov-Smirnov", len(old), len(new), seen=described[0], new=described[1], note=note)
    if note is not None:
        return shift
    found = stats.ks_2samp(old, new)
    spread = float(np.sqrt((old.var(ddof=1) + new.var(ddof=1)) / 2))
    stability = stability_of_numbers(old, new)
    return dataclasses.replace(
        shift,
        statistic=float(found.statistic),
        p_value=float(found.pvalue),
        difference=float(new.mean() - old.mean()) / spread if spread > 0 else None,
        stability=stability.index,
        stability_by_chance=stability.by_chance,
    )


def _spread_in_words(numbers: Float64[np.ndarray, " cases"]) -> str:
    if len(numbers) == 0:
        return "not known"
    low, middle, high = np.quantile(numbers, [0.25, 0.5, 0.75])
    return f"{middle:.4g} ({low:.4g} to {high:.4g})"


def _shift_of_values(old: list[str], new: list[str], settings: DriftSettings, seed: int) -> Shift | None:
    """Compare two samples of values by a chi-square test; None where there is one value, or too many to be groups."""
    names = sorted({*old, *new})
    if len(names) < 2 or len(names) > _MOST_VALUES:
        return None
    table = np.array([[sample.count(name) for name in names] for sample in (old, new)], dtype=np.int64)
    note = _too_few(len(old), len(new), settings)
    described = [_shares_in_words(names, counts) for counts in table]
    shift = _blank("chi-square", len(old), len(new), seen=described[0], new=described[1], note=note)
    if note is not None:
        return shift
    statistic, p_value = chi_square(table, seed=seed)
    stability = stability_of_shares(table[0], table[1])
    return dataclasses.replace(
        shift,
        statistic=statistic,
        p_value=p_value,
        stability=stability.index,
        stability_by_chance=stability.by_chance,
    )


def _shares_in_words(names: Sequence[str], counts: Int64[np.ndarray, " values"]) -> str:
    most = sorted(zip(counts.tolist(), names, strict=True), key=lambda entry: (-entry[0], entry[1]))[:4]
    total = int(counts.sum())
    if total == 0:
        return "not known"
    return ", ".join(f"{name} {100 * count / total:.0f} %" for count, name in most if count)
