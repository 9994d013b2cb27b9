"""The nouns of an evaluation: numbers with their intervals, side by side, as plain values that JSON can hold.

In: numbers from ``evaluate``. Out: ``metrics.json`` and back. A number that does not exist is ``None`` with a note.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from radpath.errors import DataError
from radpath.evaluation.intervals import IntervalMethod, IntervalName
from radpath.evaluation.thresholds import Threshold
from radpath.records import Side

Unit = Literal["image", "case"]
"""What a row of predictions is about."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number with its interval."""

    metric: str
    """Key in ``METRICS``."""
    of_class: str | None
    """``None`` for a number of all classes together: the whole, or a macro average."""
    value: float | None
    low: float | None
    high: float | None
    note: str | None
    """Why something is ``None``, or what a reader must know."""
    interval: IntervalName | None = None
    """How the interval was found; ``None`` where there is none."""
    at: float | None = None
    """What the metric is set to, where it has a setting in ``evaluation.metrics``."""


@dataclass(frozen=True, kw_only=True)
class SideEvaluation:
    """All numbers of one side, image by image; intervals are clustered by case."""

    side: Side
    num_images: int
    num_cases: int
    images_per_class: dict[str, int]
    cases_per_class: dict[str, int]
    """A case with images of several classes counts in each of them."""
    estimates: tuple[Estimate, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Images by true class (row) and decided class (column), in the order of the classes."""
    collapsed_to: str | None
    """The class that every image was decided for although several are present, else ``None``."""
    baseline: tuple[Estimate, ...]
    """What predicting the training side's majority class and class shares everywhere would give; empty without it."""

    def find(self, metric: str, of_class: str | None = None) -> Estimate | None:
        """Return an estimate, or ``None`` where the evaluation has none of this name and class."""
        return find(self.estimates, metric, of_class)


def find(estimates: tuple[Estimate, ...], metric: str, of_class: str | None) -> Estimate | None:
    """Return the estimate of a metric and class, or ``None`` where there is none."""
    return next((one for one in estimates if (one.metric, one.of_class) == (metric, of_class)), None)


@dataclass(frozen=True, kw_only=True)
class CaseEvaluation:
    """What the images of each case say together."""

    rule: str
    """How images became cases, a choice of ``evaluation.cases.rule``."""
    k: int | None
    """How many of the highest probabilities the rule looks at; ``None`` where it looks at all."""
    stains: Literal["together", "apart"]
    num_ambiguous: int
    """Cases left out because their images have labels of several classes."""
    fitted_on: tuple[Side, ...]
    """The sides that the SVM was trained on; empty for the other rules."""
    num_fitted: int
    """Cases that it was trained on."""
    numbers: "Evaluation"
    """Every metric; its threshold was chosen on validation cases."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that ``predictions.csv`` says about a model."""

    classes: tuple[str, ...]
    positive_class: str | None
    """The class that counts as positive where there are two, else ``None``."""
    threshold: Threshold | None
    """``None`` with more than two classes, where the highest probability decides and of equal ones the first class."""
    confidence: float
    replicates: int
    seed: int
    sides: dict[Side, SideEvaluation]
    """Sides with labelled images, in the order train, validation, test."""
    warnings: tuple[str, ...]
    """One sentence each, for the reader of the report; those of the cases are with the cases."""
    unit: Unit = "image"
    """What is counted and decided; where it is a case, the counts of images above are counts of cases."""
    ordered_classes: bool = False
    """Whether the order of the classes means something, as that of grades does."""
    stratified: bool = False
    """Whether resamples have as many cases of each class as there are."""
    interval: IntervalMethod = "analytic"
    """How intervals were asked for; each number says how its own was found."""
    by_case: "CaseEvaluation | None" = None
    """The same numbers of whole cases, where some case has several images and one label."""

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The warnings of images and of cases."""
        by_case = self.by_case.numbers.warnings if self.by_case else ()
        return (*self.warnings, *(f"by case, {warning}" for warning in by_case))

    def headline(self, side: Side) -> Estimate | None:
        """Return the side's ROC AUC: of the positive class, or the macro average of more than two."""
        return self.sides[side].find("roc_auc", self.positive_class) if side in self.sides else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; there is no NaN among them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Evaluation":
        """Rebuild an evaluation from ``to_dict``, also after a journey through JSON.

        Raises:
            DataError: a field is missing or unknown.
        """
        try:
            threshold = values["threshold"]
            rebuilt: dict[str, Any] = {
                **values,
                "classes": tuple(values["classes"]),
                "threshold": None if threshold is None else Threshold.from_dict(threshold),
                "sides": {side: _side_from_dict(numbers) for side, numbers in values["sides"].items()},
                "warnings": tuple(values["warnings"]),
                "by_case": None if values["by_case"] is None else _cases_from_dict(values["by_case"]),
            }
            return cls(**rebuilt)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this is no evaluation that radpath wrote ({error}); evaluate the run again") from None


def _cases_from_dict(values: Mapping[str, Any]) -> CaseEvaluation:
    rebuilt = {"fitted_on": tuple(values["fitted_on"]), "numbers": Evaluation.from_dict(values["numbers"])}
    return CaseEvaluation(**{**values, **rebuilt})


def _side_from_dict(values: Mapping[str, Any]) -> SideEvaluation:
    rebuilt: dict[str, Any] = {
        **values,
        "estimates": tuple(Estimate(**one) for one in values["estimates"]),
        "confusion": tuple(tuple(row) for row in values["confusion"]),
        "baseline": tuple(Estimate(**one) for one in values["baseline"]),
    }
    return SideEvaluation(**rebuilt)
