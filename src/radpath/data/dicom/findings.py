"""What a person should know about a folder of DICOM files: who could be recognised, and which cases are doubtful.

In: a manifest from ``scan``. Out: findings. Exclusions are noted by ``scan`` itself, as for any image.
"""

import polars as pl

from radpath.data.dicom.acquisition import TEXT_RISK
from radpath.data.dicom.identity import STUDY_PREFIX
from radpath.data.findings import counted, shortened
from radpath.data.manifest import Finding, Manifest


def about_dicom(manifest: Manifest) -> tuple[Finding, ...]:
    """Return findings on visible text and on cases that stand for studies; those that count nothing say nothing."""
    kept = manifest.kept.filter(pl.col("format") == "DICOM")
    if kept.is_empty():
        return ()
    risk = pl.col(TEXT_RISK) if TEXT_RISK in kept.columns else pl.lit(None, pl.String)
    stated = kept.filter(risk.is_in(["burned in", "recognizable features"]))
    possible = kept.filter(risk == "possible")
    by_study = kept.filter(pl.col("case").str.starts_with(STUDY_PREFIX))
    return (
        Finding(
            kind="dicom-text",
            severity="warning",
            count=len(stated),
            message=f"{counted(len(stated), 'DICOM image')} with writing or a face in the pixels, as the files say; "
            "look at them before any picture leaves the house",
            examples=shortened(stated["record_id"]),
        ),
        Finding(
            kind="dicom-text-possible",
            severity="note",
            count=len(possible),
            message=f"{counted(len(possible), 'DICOM image')} of kinds that often show a name (ultrasound, endoscopy, "
            "photographs, captured screens) and do not state that they are free of it",
            examples=shortened(possible["record_id"]),
        ),
        Finding(
            kind="dicom-case-is-study",
            severity="warning",
            count=len(by_study),
            message=f"{counted(len(by_study), 'DICOM image')} without a patient's ID: the study counts as the case, so "
            "a patient with two studies may stand on two sides of a split; name the cases in the table of labels",
            examples=shortened(by_study["record_id"]),
        ),
    )
