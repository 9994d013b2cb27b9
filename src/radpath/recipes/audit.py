"""``audit``: what in a study would make a score too good, as a page and as tables; nothing is trained."""

from pathlib import Path
from typing import Final

import polars as pl

from radpath import files
from radpath.data.audit.confounders import ConfounderCheck
from radpath.data.audit.study import StudyAudit, audit_study
from radpath.data.findings import counted, shortened
from radpath.data.inputs import DataSettings
from radpath.data.leaks import find_leaks
from radpath.data.location import Location
from radpath.data.manifest import Finding, Manifest
from radpath.data.twins import describe_duplicates
from radpath.recipes.describe import Pictures, study_facts
from radpath.recipes.gathering import Looked, gather_verified, look_closer, run_name
from radpath.recipes.inspect import folder_to_write, settings_of_look
from radpath.recipes.telling import say, say_findings, say_path
from radpath.reporting.study import write_study_page
from radpath.reporting.study_content import PicturedPair, Question, StudyContent

_PAIRS_SHOWN: Final = 60


def audit_images(
    images: Location, *, labels: Location | None, assignments: list[str], out: Path | None, command: str
) -> Path:
    """Write ``audit.html``, ``near_duplicates.csv`` and ``confounders.csv``; return the page.

    Sides are judged as they are given; no split is made.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    values = settings_of_look(images, labels, assignments, groups=("data", "audit"))
    folder = folder_to_write(out, f"{run_name(images)}-audit")
    manifest = gather_verified(values.data, beside=folder)
    looked = look_closer(manifest, values.data, values.audit)
    found = audit_study(manifest, looked.signatures, looked.near, values.audit)
    audited = manifest.note(*_about_identical_images(manifest), *found.findings)
    page = folder / "audit.html"
    write_study_page(_content(audited, found, looked, values.data, command), page)
    files.write_text(folder / "near_duplicates.csv", _pairs_table(found).write_csv())
    files.write_text(folder / "confounders.csv", _confounder_table(found).write_csv())
    say_findings(audited.findings)
    say("")
    say_path("Audit", page)
    return page


def _about_identical_images(manifest: Manifest) -> list[Finding]:
    leaks = find_leaks(manifest)
    message = f"{counted(len(leaks), 'identical image')} on two sides of the split; split.leaks decides what a run does"
    across = Finding(
        kind="identical-images-across-sides",
        severity="warning",
        count=len(leaks),
        message=message,
        examples=shortened(map(str, leaks)),
    )
    return [across, *describe_duplicates(manifest.kept, treatment="a new split keeps them on one side")]


def _content(manifest: Manifest, found: StudyAudit, looked: Looked, data: DataSettings, command: str) -> StudyContent:
    pictures = Pictures(manifest, data)
    first = sorted(found.pairs, key=lambda pair: (not pair.is_disputed, not pair.is_leak))[:_PAIRS_SHOWN]
    questions = [
        Question(what="the label", check=found.label_check),
        Question(what="the side of the split", check=found.side_check),
    ]
    return StudyContent(
        kind="audit",
        pairs=tuple(
            PicturedPair(pair=pair, pictures=(pictures.of(pair.record_ids[0]), pictures.of(pair.record_ids[1])))
            for pair in first
        ),
        num_pairs=len(found.pairs),
        threshold=None if looked.near is None else looked.near.similarity,
        questions=tuple(question for question in questions if question.check.columns),
        **study_facts(manifest, data, command),
    )


def _pairs_table(found: StudyAudit) -> pl.DataFrame:
    """Return one row a pair, with the facts of both images."""
    columns = ("record_id", "case", "label", "side")
    schema = {f"{name}_{end}": pl.String() for end in ("first", "second") for name in columns}
    rows = [
        [
            *(facts[end] for end in (0, 1) for facts in (one.record_ids, one.cases, one.labels, one.sides)),
            one.similarity,
        ]
        for one in found.pairs
    ]
    return pl.DataFrame(rows, schema={**schema, "similarity": pl.Float64()}, orient="row")


def _confounder_table(found: StudyAudit) -> pl.DataFrame:
    """Return one row a question and column."""
    checks: dict[str, ConfounderCheck] = {"label": found.label_check, "side": found.side_check}
    rows = [
        [name, one.column, one.origin, one.area.value, one.area.low, one.area.high, one.chance, one.is_alarm]
        for name, check in checks.items()
        for one in check.columns
    ]
    numbers = dict.fromkeys(("area", "low", "high", "chance"), pl.Float64())
    schema = {**dict.fromkeys(("question", "column", "origin"), pl.String()), **numbers, "alarm": pl.Boolean()}
    return pl.DataFrame(rows, schema=schema, orient="row")
