"""Probabilities are corrected by what validation showed: temperature, Platt's line, or isotonic steps.

In: predictions, and the method. Out: a ``Calibrator`` that is frozen, travels as JSON beside the model, and gives new
probabilities of any image. It learns from the validation side alone. How good these are is left to ``reliability``.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Bool, Float64
from scipy import optimize, special, stats

from radpath.errors import DataError
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.logistic import fit_logistic
from radpath.evaluation.measured import Measured, judged_side
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.probability import SMALLEST_PROBABILITY
from radpath.evaluation.reliability import CoxLine, Reliability, assess_reliability, cox_lines, log_odds
from radpath.evaluation.sample import Sample, take_sample
from radpath.records import Side
from radpath.settings import Settings

CalibrationMethod = Literal["temperature", "platt", "isotonic"]

_FEWEST_IMAGES: Final[dict[CalibrationMethod, int]] = {"temperature": 5, "platt": 10, "isotonic": 30}
"""Validation images of every class below which a method is not fitted: it would follow chance."""

_SHARPEST: Final = 100.0
"""Largest power of the probabilities that is looked for: a larger one would make certainties of them."""

Values = Float64[np.ndarray, " images"]
Table = Float64[np.ndarray, "images classes"]


class CalibrationSettings(Settings):
    """How probabilities are corrected; the numbers of the results stay those of the model's own probabilities."""

    method: Literal["temperature", "platt", "isotonic", "none"] = "temperature"
    """temperature: one power for all classes (Guo et al. 2017); platt: a line through the log-odds of each class (Platt
    1999); isotonic: rising steps for each class (Zadrozny and Elkan 2002), for some thousand validation images; none.
    Fitted on validation. With more than two classes the last two treat each class against the rest, and scale."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A rising curve from given to corrected probabilities, straight between its points."""

    given: tuple[float, ...]
    corrected: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Calibrator:
    """A correction of probabilities, fixed."""

    method: CalibrationMethod
    classes: tuple[str, ...]
    fitted_on: Literal["validation"]
    num_images: int
    num_cases: int
    temperature: float | None = None
    """Log-probabilities are divided by it: above 1 the model was too sure."""
    temperature_error: float | None = None
    """Standard error of its logarithm, clustered by case; ``None`` with one case."""
    lines: tuple[tuple[float, float], ...] = ()
    """Platt's slope and intercept: of the second of two classes, or of each of more."""
    steps: tuple[Steps, ...] = ()
    """Isotonic curves, for the same classes."""

    def apply(self, probabilities: Table) -> Table:
        """Return corrected probabilities: rows that sum to 1, in the order of ``classes``."""
        if self.temperature is not None:
            return _sharpened(probabilities, 1 / self.temperature)
        if len(self.classes) == 2:
            second = self._corrected(probabilities[:, 1].copy(), 0)
            return np.column_stack([1 - second, second])
        columns = [self._corrected(column, place) for place, column in enumerate(probabilities.T.copy())]
        table = np.column_stack(columns)
        return np.asarray(table / table.sum(axis=1, keepdims=True))

    def _corrected(self, given: Values, place: int) -> Values:
        if self.lines:
            slope, intercept = self.lines[place]
            return np.asarray(special.expit(slope * log_odds(given) + intercept))
        return np.asarray(np.interp(given, self.steps[place].given, self.steps[place].corrected))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, in full precision."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibrator":
        """Rebuild a calibrator from ``to_dict``, also after a journey through JSON.

        Raises:
            DataError: a field is missing or unknown.
        """
        try:
            rebuilt = {
                "classes": tuple(values["classes"]),
                "lines": tuple((slope, intercept) for slope, intercept in values["lines"]),
                "steps": tuple(Steps(**{key: tuple(points) for key, points in one.items()}) for one in values["steps"]),
            }
            return cls(**{**values, **rebuilt})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"this is no calibration that radpath wrote ({error}); evaluate the run again") from None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a correction does on the judged side."""

    positive_class: str | None
    side: Side
    num_images: int
    num_cases: int
    confidence: float
    """Of every interval."""
    before: Reliability
    after: Reliability | None
    """``None`` where nothing is corrected."""
    calibrator: Calibrator | None
    reason: str
    """Why nothing is corrected; empty where something is."""
    moved_by: str | None
    """What in the training moved the probabilities, in sentences."""
    temperature: Measured | None = None
    """The correction's, where it is one, with the interval that validation leaves."""
    left_on_validation: tuple[CoxLine, ...] = ()
    """Intercept and slope of the corrected probabilities on the side that the correction was fitted on; what is left
    there the method cannot repair. Empty where nothing is corrected, or where it was fitted on other predictions."""


def assess_calibration(
    predictions: Predictions,
    evaluation: Evaluation,
    settings: CalibrationSettings,
    *,
    moved_by: str | None = None,
    frozen: Calibrator | str | None = None,
) -> Calibration:
    """Return how far the probabilities can be believed before and after the correction.

    Args:
        predictions: of one model.
        evaluation: of them.
        settings: the method.
        moved_by: what in the training moved the probabilities, in sentences.
        frozen: a correction to use unchanged, or in a sentence why there is none; without it, one is fitted on the
            validation side.
    """
    side = judged_side(evaluation)
    sample = take_sample(predictions, side, positive_class=evaluation.positive_class, threshold=evaluation.threshold)
    fitted = fit_calibrator(predictions, settings) if frozen is None else frozen
    calibrator, reason = (fitted, "") if isinstance(fitted, Calibrator) else (None, fitted)
    after = None
    if calibrator is not None:
        corrected = dataclasses.replace(sample, probabilities=calibrator.apply(sample.probabilities))
        after = assess_reliability(corrected, side=side, evaluation=evaluation)
    return Calibration(
        positive_class=evaluation.positive_class,
        side=side,
        num_images=len(sample),
        num_cases=sample.num_cases,
        confidence=evaluation.confidence,
        before=assess_reliability(sample, side=side, evaluation=evaluation),
        after=after,
        calibrator=calibrator,
        reason=reason,
        moved_by=moved_by,
        temperature=None if calibrator is None else _measured_temperature(calibrator, evaluation.confidence),
        left_on_validation=() if calibrator is None else _left(predictions, evaluation, calibrator),
    )


def _measured_temperature(calibrator: Calibrator, confidence: float) -> Measured | None:
    """Return the temperature with the interval of the normal distribution on its logarithm."""
    value, error = calibrator.temperature, calibrator.temperature_error
    if value is None or error is None:
        return None if value is None else Measured(value=value, note="no interval: its error is not known")
    factor = float(np.exp(stats.norm.ppf((1 + confidence) / 2) * error))
    return Measured(value=value, low=value / factor, high=value * factor)


def _left(predictions: Predictions, evaluation: Evaluation, calibrator: Calibrator) -> tuple[CoxLine, ...]:
    """Return intercept and slope of the corrected probabilities on the validation side that gave the correction."""
    if fit_calibrator(predictions, CalibrationSettings(method=calibrator.method)) != calibrator:
        return ()
    sample = take_sample(predictions, "validation", positive_class=evaluation.positive_class, threshold=None)
    corrected = dataclasses.replace(sample, probabilities=calibrator.apply(sample.probabilities))
    return cox_lines(corrected, confidence=evaluation.confidence)


def fit_calibrator(predictions: Predictions, settings: CalibrationSettings) -> Calibrator | str:
    """Return the correction that the validation side asks for, or in a sentence why there is none."""
    if settings.method == "none":
        return 'evaluation.calibration.method is "none".'
    sample = take_sample(predictions, "validation", positive_class=None, threshold=None)
    few, fewest = sample.images_per_class(), _FEWEST_IMAGES[settings.method]
    lacking = [f"{count:,} of '{name}'" for name, count in few.items() if count < fewest]
    if lacking:
        return (
            f"The validation side has {', '.join(lacking)}; {settings.method} needs {fewest} images of every class to "
            "be fitted."
        )
    known = Calibrator(
        method=settings.method,
        classes=predictions.classes,
        fitted_on="validation",
        num_images=len(sample),
        num_cases=sample.num_cases,
    )
    return _FITS[settings.method](sample, known)


def _fit_temperature(sample: Sample, known: Calibrator) -> Calibrator | str:
    """Find the power with the lowest log loss: its slope rises with the power, so that it has one root."""
    logs = np.log(np.clip(sample.probabilities, SMALLEST_PROBABILITY, 1))
    of_truth = logs[np.arange(len(sample)), sample.truth]

    def slope(power: float) -> float:
        return float(((special.softmax(power * logs, axis=1) * logs).sum(axis=1) - of_truth).mean())

    lowest = 1 / _SHARPEST
    if slope(lowest) >= 0:
        return "On the validation side the probabilities say nothing about the truth, so no temperature can help."
    if (of_truth == logs.max(axis=1)).all() or slope(_SHARPEST) <= 0:
        return (
            "On the validation side the highest probability is right for every image, or for all but near ties, so no "
            "temperature can be estimated: the best would make certainties of all probabilities. "
            'evaluation.calibration.method = "platt" can be fitted.'
        )
    power = float(optimize.brentq(slope, lowest, _SHARPEST, xtol=1e-13, rtol=1e-13))
    error = _power_error(power, logs, sample)
    return dataclasses.replace(known, temperature=1 / power, temperature_error=None if error is None else error / power)


def _power_error(power: float, logs: Table, sample: Sample) -> float | None:
    """Return the sandwich error of the power, clustered by case (Liang and Zeger 1986), times G / (G - 1)."""
    if sample.num_cases < 2:
        return None
    shares = special.softmax(power * logs, axis=1)
    expected = (shares * logs).sum(axis=1)
    scores = logs[np.arange(len(sample)), sample.truth] - expected
    of_case = np.bincount(sample.case_of, weights=scores, minlength=sample.num_cases)
    information = float((shares * (logs - expected[:, None]) ** 2).sum())
    return float(np.sqrt((of_case**2).sum() * sample.num_cases / (sample.num_cases - 1))) / information


def _sharpened(probabilities: Table, power: float) -> Table:
    logs = np.log(np.clip(probabilities, SMALLEST_PROBABILITY, 1))
    return np.asarray(special.softmax(power * logs, axis=1))


def _fit_platt(sample: Sample, known: Calibrator) -> Calibrator | str:
    found = [_platt_line(given, is_class) for given, is_class in _one_against_rest(sample)]
    lines = tuple(line for line in found if line is not None)
    if len(lines) < len(found):
        return "On the validation side a class has one probability everywhere, so no line can be fitted."
    return dataclasses.replace(known, lines=lines)


def _platt_line(given: Values, is_class: Bool[np.ndarray, " images"]) -> tuple[float, float] | None:
    """Return slope and intercept; Platt's targets keep both finite where nothing is mistaken."""
    num_positive, num_negative = int(is_class.sum()), int((~is_class).sum())
    targets = np.where(is_class, (num_positive + 1) / (num_positive + 2), 1 / (num_negative + 2))
    found = fit_logistic(np.column_stack([log_odds(given), np.ones(len(given))]), targets)
    return None if found is None else (float(found[0]), float(found[1]))


def _fit_isotonic(sample: Sample, known: Calibrator) -> Calibrator:
    steps = tuple(_isotonic_steps(given, is_class) for given, is_class in _one_against_rest(sample))
    return dataclasses.replace(known, steps=steps)


def _isotonic_steps(given: Values, is_class: Bool[np.ndarray, " images"]) -> Steps:
    """Return the rising curve; its ends stay off 0 and 1, which so many images cannot know (Laplace 1814)."""
    from sklearn.isotonic import IsotonicRegression  # slow to import

    least = 1 / (len(given) + 2)
    curve = IsotonicRegression(y_min=least, y_max=1 - least).fit(given, is_class.astype(np.float64))
    return Steps(
        given=tuple(float(x) for x in curve.X_thresholds_), corrected=tuple(float(y) for y in curve.y_thresholds_)
    )


def _one_against_rest(sample: Sample) -> list[tuple[Values, Bool[np.ndarray, " images"]]]:
    """Return probability and truth of the second of two classes, or of each of more."""
    places = range(len(sample.classes)) if len(sample.classes) > 2 else (1,)
    return [(sample.probabilities[:, place].copy(), sample.truth == place) for place in places]


_FITS: Final[dict[CalibrationMethod, Callable[[Sample, Calibrator], Calibrator | str]]] = {
    "temperature": _fit_temperature,
    "platt": _fit_platt,
    "isotonic": _fit_isotonic,
}
