"""Labels of new images, for a model that is fixed: what they are, and which images are no test of it.

In: the manifest of new images as the model saw them, and their labels in any form that ``fit`` reads. Out: a manifest
whose kept images have a label that the model knows, and were not learned from; all others are excluded with a reason.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

import polars as pl

from radpath.data.findings import counted, exclude_and_note, shortened
from radpath.data.inputs import DataSettings
from radpath.data.location import Location
from radpath.data.manifest import Finding, Manifest
from radpath.errors import DataError, LeakError, SettingsError
from radpath.recipes.gathering import data_values, gather
from radpath.run_folder import RunFolder
from radpath.settings import override, parse_settings

NAMING: Final = ("path_column", "label_column", "case_column", "split_column", "name_pattern", "keep_columns")
"""Settings of ``[data]`` that say what a new table calls its columns; all others are those of the run."""

_SEEN_COLUMNS: Final = ("file_digest", "pixel_digest")


def data_of_new(
    data: DataSettings, images: Location, labels: Location | None, assignments: Sequence[str]
) -> DataSettings:
    """Return how new images and their labels are read: as those of the run, but for names of columns.

    Raises:
        SettingsError: another setting than a name is to change.
    """
    keys = [assignment.partition("=")[0].strip() for assignment in assignments]
    foreign = [key for key in keys if key.removeprefix("data.") not in NAMING or not key.startswith("data.")]
    if foreign:
        raise SettingsError(
            f"--set {foreign[0]}: everything else is as the run fixed it; only [device] and names of columns "
            f"({', '.join(f'data.{name}' for name in NAMING)}) can be set for new images"
        )
    known = data.model_dump(mode="json", exclude={"labels", "split_column", "keep_columns"}, exclude_none=True)
    values = {**known, **data_values(images, labels), "split_column": ""}  # sides of new images mean nothing here
    return parse_settings(DataSettings, override({"data": values}, list(assignments))["data"], source="--set data")


def with_labels(seen: Manifest, data: DataSettings, classes: Sequence[str], *, folder: RunFolder) -> Manifest:
    """Return the manifest of images that a model has seen with their labels; all are on the test side.

    Raises:
        DataError: the labels cannot be understood, or no image has one that the model knows.
    """
    labelled = gather(data, beside=folder.root)
    digests = seen.table.select("record_id", *_SEEN_COLUMNS)
    columns = labelled.table.columns
    table = labelled.table.drop(_SEEN_COLUMNS).join(digests, on="record_id", how="left", maintain_order="left")
    manifest = dataclasses.replace(labelled, table=table.select(columns))
    for reason, record_id, detail in seen.excluded.select("reason", "record_id", "detail").iter_rows():
        manifest = manifest.exclude({record_id: detail or ""}, reason=reason or "excluded")
    noticed = {finding.kind for finding in manifest.findings}
    manifest = manifest.note(*(finding for finding in seen.findings if finding.kind not in noticed))
    unknown = manifest.kept.filter(~pl.col("label").is_in(list(classes)))
    details = {
        record_id: f"its class '{label}' is none of {', '.join(classes)}"
        for record_id, label in unknown.select("record_id", "label").iter_rows()
    }
    manifest = exclude_and_note(manifest, details, reason="class unknown to the model")
    if manifest.kept.is_empty():
        raise DataError(f"no image in {data.images} has a label that the model knows: {', '.join(classes)}")
    tested = pl.when(pl.col("status") == "kept").then(pl.lit("test"))
    return manifest.replace(manifest.table.with_columns(split=tested))


def without_learned(manifest: Manifest, runs: Sequence[RunFolder], *, other_patients: bool) -> Manifest:
    """Exclude what the model has learned from: the same pixels, and named cases of its training and validation.

    Args:
        manifest: of new images.
        runs: the run, or the members of an ensemble.
        other_patients: equal names of cases are other people, so that only pixels count.

    Raises:
        LeakError: nothing is left.
    """
    columns = ["record_id", "case", "case_assumed", "split", "pixel_digest"]
    known = pl.concat(Manifest.read(run.manifest, images=manifest.images).kept.select(columns) for run in runs)
    learned, tested = known.filter(pl.col("split") != "test"), known.filter(pl.col("split") == "test")
    same = _same_pixels(manifest.kept, learned)
    cleaned = exclude_and_note(
        manifest,
        {record: f"the same image as {twin}, which the model learned from" for record, twin in same.items()},
        reason="image that the model learned from",
    )
    cases = learned.filter(~pl.col("case_assumed").fill_null(value=False))["case"].unique().to_list()
    named = pl.col("case").is_in([] if other_patients else cases) & ~pl.col("case_assumed").fill_null(value=False)
    shared = cleaned.kept.filter(named).select("record_id", "case").iter_rows()
    cleaned = exclude_and_note(
        cleaned,
        {record: f"case '{case}' is one that the model learned from" for record, case in shared},
        reason="case that the model learned from",
    )
    if cleaned.kept.is_empty():
        raise LeakError(
            f"all images in {manifest.images} are images or cases that the model learned from; if the cases are other "
            "people of the same names, say --other-patients"
        )
    again = _same_pixels(cleaned.kept, tested)
    return cleaned.note(
        Finding(
            kind="seen-in-test",
            severity="warning",
            count=len(again),
            message=f"{counted(len(again), 'image')} the same as on the run's own test side: not new, and kept",
            examples=shortened(f"{record} = {twin}" for record, twin in again.items()),
        )
    )


def _same_pixels(new: pl.DataFrame, known: pl.DataFrame) -> dict[str, str]:
    """Return for each new image that is also a known one the latter's name."""
    twins = known.drop_nulls("pixel_digest").unique("pixel_digest", keep="first", maintain_order=True)
    same = new.join(twins, on="pixel_digest", how="inner", suffix="_known", maintain_order="left")
    return dict(same.select("record_id", "record_id_known").iter_rows())
