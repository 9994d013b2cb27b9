"""Tables of labels that speak of patients: their IDs become the names of the cases that ``identity`` made.

In: the texts of a table's case column, and a manifest. Out: the texts with patients' IDs replaced, so that a table of
patients fits, and no ID reaches an output; and a finding where a table divides patients.
"""

from collections.abc import Iterable, Sequence

import polars as pl

from radpath.data.dicom.identity import case_name, is_dicom_case, read_key
from radpath.data.dicom.settings import DicomSettings
from radpath.data.findings import counted, shortened
from radpath.data.manifest import Finding, Manifest


def with_case_names(texts: Sequence[str], cases: Iterable[str | None], settings: DicomSettings) -> list[str]:
    """Return the texts, those that are IDs of patients of ``cases`` replaced by the names of their cases.

    IDs that an issuer qualifies cannot be found so, since a table does not state the issuer.
    """
    known = {case for case in cases if case is not None and is_dicom_case(case)}
    if not known:
        return list(texts)
    key = read_key(settings)
    names = {text: case_name(text.strip(), key) for text in set(texts) if text.strip()}
    return [names[text] if names.get(text) in known else text for text in texts]


def divided_patients(before: Manifest, after: Manifest) -> Finding:
    """Report patients of DICOM files whom a table divides into several cases.

    Args:
        before: the manifest with the cases of ``scan``.
        after: the same records with the table's cases.
    """
    table = after.table.select("record_id", pl.col("case").alias("new"))
    both = before.table.filter(pl.col("format") == "DICOM").select("record_id", "case").join(table, on="record_id")
    named = both.filter(pl.col("case").is_not_null() & pl.col("new").is_not_null())
    divided = (
        named.group_by("case").agg(pl.col("new").unique().sort()).filter(pl.col("new").list.len() > 1).sort("case")
    )
    return Finding(
        kind="dicom-patient-divided",
        severity="warning",
        count=len(divided),
        message=f"{counted(len(divided), 'patient')} of the DICOM files with several cases in the table, so that one "
        "patient may stand on two sides of a split; leave the table's case column out with --set data.case_column=",
        examples=shortened(f"{case}: {', '.join(names[:3])}" for case, names in divided.iter_rows()),
    )
