"""The audit of a study: near duplicates, and columns that give a label or a side away.

In: a manifest, perhaps split, and signatures of its images. Out: a ``StudyAudit`` with everything that was found, and
findings in one line each. Identical images are in ``twins``, cases with several labels in ``labels``. Nothing
here decodes images or decides what is done about a finding.
"""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import polars as pl
from pydantic import Field

from radpath.data.audit.collecting import Signatures
from radpath.data.audit.confounders import Confounder, ConfounderCheck, find_confounders
from radpath.data.audit.duplicates import (
    NearDuplicates,
    NearPair,
    near_duplicates_of,
    near_findings,
    pairs_with_facts,
)
from radpath.data.audit.near import MOST_PAIRS, SIMILARITY
from radpath.data.audit.telltales import telltales_of
from radpath.data.findings import shortened
from radpath.data.label_sets import decoded, names_of
from radpath.data.manifest import Finding, Manifest
from radpath.settings import Settings

_NO_CHECK: Final = ConfounderCheck(columns=(), together=None)


class AuditSettings(Settings):
    """What is looked for in the images before anything is trained."""

    near_duplicates: Literal["find", "skip"] = "find"
    """Whether to look for images that are nearly the same: cropped, turned, brightened or compressed again."""
    similarity: Annotated[float, Field(gt=0, lt=1)] = SIMILARITY
    """Two images are near duplicates where their fine detail correlates above this, once one lies over the other."""
    most_pairs: Annotated[int, Field(gt=0)] = MOST_PAIRS
    """At most so many pairs are compared in detail, the most similar first; 1,000 take a second or two."""
    confounders: Literal["check", "skip"] = "check"
    """Whether to ask if the label, or the side, can be told from sizes, files, scanners, names, brightness, borders."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyAudit:
    """What was found."""

    pairs: tuple[NearPair, ...]
    """Near duplicates, the most similar first."""
    label_check: ConfounderCheck
    side_check: ConfounderCheck
    findings: tuple[Finding, ...]
    """One line each; those that count nothing are left out."""


def find_near_duplicates(manifest: Manifest, signatures: Signatures, settings: AuditSettings) -> NearDuplicates | None:
    """Return the near duplicates among kept images, or None where the settings say not to look."""
    if settings.near_duplicates == "skip":
        return None
    return near_duplicates_of(manifest, signatures, similarity=settings.similarity, most_pairs=settings.most_pairs)


def audit_study(
    manifest: Manifest, signatures: Signatures, near: NearDuplicates | None, settings: AuditSettings
) -> StudyAudit:
    """Return everything that the audit finds.

    Args:
        manifest: verified images; labels and sides are looked at where there are any.
        signatures: of all kept images.
        near: what ``find_near_duplicates`` returned; None where it was not looked for.
        settings: what to look for.
    """
    pairs = [] if near is None else pairs_with_facts(manifest, near)
    checks = {"label": _NO_CHECK, "split": _NO_CHECK}
    if settings.confounders == "check":
        checks = {name: _check(manifest, signatures, name) for name in checks}
    findings = [
        *(() if near is None else near_findings(pairs, near)),
        *_confounder_findings(checks["label"], "label", "the label"),
        *_confounder_findings(checks["split"], "side", "the side of the split"),
    ]
    return StudyAudit(
        pairs=tuple(pairs),
        label_check=checks["label"],
        side_check=checks["split"],
        findings=tuple(finding for finding in findings if finding.count),
    )


def _check(manifest: Manifest, signatures: Signatures, question: str) -> ConfounderCheck:
    """Ask whether a column of the manifest can be told, among the images that have a value there."""
    asked = manifest.replace(manifest.kept.filter(pl.col(question).is_not_null() & pl.col("case").is_not_null()))
    if asked.table.is_empty():
        return _NO_CHECK
    answers = asked.kept[question]
    if question == "label" and names_of(answers) is not None:
        answers = _any_label(answers)
    return find_confounders(telltales_of(asked, signatures), answers, asked.kept["case"])


def _any_label(sets: pl.Series) -> pl.Series:
    """Return of each image with several labels whether it has any for sure."""
    return pl.Series([any(decoded(text).values()) for text in sets], dtype=pl.Boolean)


_MEANINGS: Final = {
    "file": "a model can learn how files were made in place of what they show",
    "acquisition": "a model can learn where images come from in place of what they show",
    "overlay": "borders or writing differ; crop them, or the model reads them",
    "appearance": "this may be the finding itself, or another scanner, exposure or stain",
    "name": "harmless to a model, which sees no names, and a sign that images were collected one group after another",
}


def _confounder_findings(check: ConfounderCheck, kind: str, what: str) -> Iterator[Finding]:
    """Yield one finding for each origin of columns that tell more than chance."""
    for origin, meaning in _MEANINGS.items():
        alarms = [one for one in check.columns if one.is_alarm and one.origin == origin]
        if alarms:
            yield Finding(
                kind=f"{kind}-told-by-{origin}",
                severity="note" if origin in {"appearance", "name"} else "warning",
                count=len(alarms),
                message=f"{what} can be told from {_told(alarms[0])}: {meaning}",
                examples=shortened(map(_told, alarms)),
            )


def _told(one: Confounder) -> str:
    area = one.area
    return f"{one.column} (AUC {area.value:.2f}, 95 % {area.low:.2f} to {area.high:.2f})"
