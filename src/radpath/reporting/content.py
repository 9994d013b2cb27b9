"""What the report says: the nouns that the page, the figures and the model card are made of.

In: what a run knows, handed over by a recipe. Out: plain frozen values. Nothing here draws, measures or decides; text
that a user wrote (class names, paths, cases) is held as it is and escaped by the page.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Int

from radpath.data.manifest import Finding
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.predictions import Predictions
from radpath.records import Side
from radpath.reporting.blocks import Section, Table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exclusion:
    """One reason for which images do not take part."""

    reason: str
    num_images: int
    num_cases: int
    """Cases with at least one image excluded for this reason; some may still take part with others."""
    examples: tuple[str, ...] = ()
    """A few sentences that name the image and say what was found."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSummary:
    """The images that were found and those that take part."""

    images: str
    """The folder or array file, as the user named it."""
    labels: str
    """Where the labels come from: a table, or "folder names"."""
    num_found: int
    num_cases_found: int
    num_kept: int
    num_cases_kept: int
    num_cases_assumed: int
    """Kept images that nothing assigns to a case, so that each counts as its own."""
    kinds: Mapping[str, int]
    """Kept images of each kind, for example ``{"PNG, RGB, 8 bit": 400}``."""
    sizes_px: Mapping[Side, Int[np.ndarray, "_ 2"]]
    """Width and height of every kept image, one row an image."""
    exclusions: tuple[Exclusion, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One image of a class, to look at."""

    picture: bytes
    """A thumbnail: PNG or JPEG."""
    caption: str
    """The record id, and what else helps to find the image again."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SideCounts:
    """How many images and cases stand on one side of the split."""

    side: Side
    num_images: int
    num_cases: int
    images_per_class: Mapping[str, int]
    cases_per_class: Mapping[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """One thing about a split, or about a training, that was looked at, and the outcome."""

    what: str
    """The statement that was checked, for example "No case on two sides"."""
    outcome: Literal["passed", "handled", "failed", "unchecked"]
    """failed where it does not hold, handled where it did not and the data were changed, unchecked where nobody could
    look, passed elsewhere."""
    detail: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """How the cases were divided."""

    method: str
    """One sentence: by which rule, with which seed, or given by whom."""
    sides: tuple[SideCounts, ...]
    checks: tuple[Check, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """One setting that was derived from the data, and why."""

    setting: str
    value: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of ``history.csv``."""

    epoch: int
    train_loss: float
    learning_rate: float
    seconds: float
    validation_loss: float | None = None
    """None without a validation side."""
    validation_auc: float | None = None
    """None without a validation side, or where AUC is undefined there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSummary:
    """How the model learned."""

    model: str
    """One sentence: backbone, weights, what is frozen, what is trained."""
    history: tuple[Epoch, ...]
    chosen_epoch: int | None
    """The epoch whose weights were kept."""
    chosen_by: str
    """The rule, for example "highest validation AUC; validation loss breaks ties"."""
    padded_share: Mapping[Side, float]
    """Share of the pixels that the model saw which are padding, 0 to 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mistake:
    """One image whose truth the model thought improbable."""

    picture: bytes
    record_id: str
    case: str
    truth: str
    decision: str
    probability_of_truth: float
    overlay: bytes | None = None
    """Where the model looked, as a picture of the same image; None where nobody asked."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemberScore:
    """One of several runs that were joined, with its own numbers."""

    name: str
    weight: float
    """Its share in what was joined, 0 to 1."""
    evaluation: Evaluation
    mark: str = ""
    """Where it stands beside the best of the runs and all together, in words; empty where that was not tested."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything about a run but its results; what is not known is left out of the report."""

    title: str
    question: str
    """What the model is asked, in a sentence: "Is the lesion benign or malignant?"."""
    command: str = ""
    """The command line that made the run."""
    created: str = ""
    """Date and time as the page shall show it; passed in, so that the same run gives the same bytes."""
    data: DataSummary | None = None
    """None where nothing is known of the images, as with a table of predictions."""
    samples: Mapping[str, tuple[Sample, ...]] = dataclasses.field(default_factory=dict)
    """Images of each class."""
    split: SplitSummary | None = None
    """None where nothing is known of it but the sides of the predictions."""
    characteristics: Table | None = None
    """What the images of each side are like; None where nothing is known of them."""
    plan: tuple[Choice, ...] = ()
    training: TrainingSummary | None = None
    """None where nothing is known of a training."""
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Every setting with its dotted name."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Versions, device, seeds."""
    limits: tuple[str, ...] = ()
    """Sentences to add to those that the page derives itself."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportContent(RunFacts):
    """Everything that the page, the figures and the model card show of a run whose images have one class each."""

    evaluation: Evaluation
    predictions: Predictions
    mistakes: tuple[Mistake, ...] = ()
    """Worst first, all from the side that is reported first."""
    members: tuple[MemberScore, ...] = ()
    """The runs that were joined, where these are the results of several."""
    joined_mark: str = ""
    """Where all together stand beside the best, in words."""
    sections: tuple[Section, ...] = ()
    """Further analyses, after the results."""


def side_counts(content: RunFacts) -> tuple[SideCounts, ...]:
    """Return the counts of each side: of the split, or of the predictions where nothing is known of a split."""
    if content.split is not None:
        return content.split.sides
    if not isinstance(content, ReportContent):
        return ()
    return tuple(
        SideCounts(
            side=side.side,
            num_images=side.num_images,
            num_cases=side.num_cases,
            images_per_class=side.images_per_class,
            cases_per_class=side.cases_per_class,
        )
        for side in content.evaluation.sides.values()
    )
