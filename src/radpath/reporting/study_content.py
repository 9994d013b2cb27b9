"""What the pages about a study say: the nouns that the page and its figures are made of.

In: what a recipe knows. Out: plain frozen values; text that a user wrote is held as it is and escaped by the page.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Int

from radpath.data.audit.confounders import ConfounderCheck
from radpath.data.audit.duplicates import NearPair
from radpath.data.manifest import Finding
from radpath.reporting.content import Exclusion, Sample


@dataclasses.dataclass(frozen=True, kw_only=True)
class Balance:
    """Images of each class in each value of a column: the sides of a split, sites."""

    of: str
    """The column, in words: "side", "site"."""
    counts: Mapping[str, Mapping[str, int]]
    """For each value, the images of each class."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PicturedPair:
    """Two nearly identical images to look at."""

    pair: NearPair
    pictures: tuple[bytes, bytes]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What a confounder check asked, and its answer."""

    what: str
    """What was to be told: "the label", "the side of the split"."""
    check: ConfounderCheck


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyContent:
    """Everything that a page about a study shows."""

    kind: Literal["description", "audit"]
    title: str
    command: str
    created: str
    images: str
    labels: str
    facts: tuple[tuple[str, str], ...]
    """What was measured, and its value."""
    sizes_px: Mapping[str, Int[np.ndarray, "_ 2"]]
    """Width and height of every kept image, by class; one entry where nothing is labelled."""
    balances: tuple[Balance, ...]
    samples: Mapping[str, tuple[Sample, ...]]
    exclusions: tuple[Exclusion, ...]
    findings: tuple[Finding, ...]
    pairs: tuple[PicturedPair, ...] = ()
    """The first of the near duplicates."""
    num_pairs: int = 0
    threshold: float | None = None
    """Of the near duplicates; None where they were not looked for."""
    questions: tuple[Question, ...] = ()
