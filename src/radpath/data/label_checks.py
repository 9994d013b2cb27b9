"""What is asked of labels before anything is split: that there are some, and that they differ.

In: a manifest with labels. Out: the same with the unlabelled images excluded and every case settled. Where labels come
from is ``labels``' work.
"""

from typing import Final

import polars as pl

from radpath.data.findings import counted, exclude_and_note, shortened
from radpath.data.label_sets import classes_among, is_label_set, names_of, unanswered
from radpath.data.manifest import Finding, Manifest
from radpath.data.names import assume_cases
from radpath.errors import DataError

_MIN_CLASSES: Final = 2


def checked_labels(manifest: Manifest) -> Manifest:
    """Exclude what has no label, settle the cases, and require two classes, or labels that can be learned.

    Raises:
        DataError: there is one class only, or none; or every image has the same answer to a label.
    """
    unlabelled = manifest.kept.filter(pl.col("label").is_null()).select("record_id", "case").iter_rows()
    details = {
        record_id: "nothing gives the image" + (f" or its case '{case}'" if case else "") + " a label"
        for record_id, case in unlabelled
    }
    settled = assume_cases(exclude_and_note(manifest, details, reason="no label"))
    _require_classes(settled)
    if names_of(settled.kept["label"]) is not None:  # other findings on another day are what patients have
        _require_answers(settled)
        return settled
    _refuse_class_like_a_set(settled)
    return settled.note(*_mixed_cases(settled))


def _require_answers(manifest: Manifest) -> None:
    """Stop where a label is there, or is not there, in every image of which it is known."""
    for name, what in unanswered(manifest.kept).items():
        raise DataError(
            f"no image is known to be {what} '{name}', so that it cannot be learned; leave that label out of "
            "data.label_sets"
        )


def _refuse_class_like_a_set(manifest: Manifest) -> None:
    like_a_set = [name for name in manifest.kept["label"].unique().sort() if is_label_set(name)]
    if like_a_set:
        raise DataError(f"a class is called '{like_a_set[0]}', which is how sets of labels are written; rename it")


def _require_classes(manifest: Manifest) -> None:
    classes = sorted(classes_among(manifest.kept))
    if len(classes) >= _MIN_CLASSES:
        return
    reasons = manifest.excluded["reason"].value_counts().sort("count", "reason", descending=[True, False])
    excluded = ", ".join(f"{reason} ({number})" for reason, number in reasons.iter_rows())
    left = (
        f"the only class is '{classes[0]}' ({counted(len(manifest.kept), 'image')})" if classes else "no image is left"
    )
    raise DataError(
        f"{manifest.images}: {left}; a classifier needs two classes or more"
        + (f"; excluded: {excluded}" if excluded else "")
        + "; use one folder a class, or name a table with data.labels"
    )


def _mixed_cases(manifest: Manifest) -> list[Finding]:
    """Note cases whose images have different labels: right for cells of one smear, wrong for a diagnosis."""
    cases = (
        manifest.kept.filter(~pl.col("case_assumed"))
        .group_by("case")
        .agg(pl.col("label").unique().sort())
        .filter(pl.col("label").list.len() > 1)
        .sort("case")
    )
    return [
        Finding(
            kind="mixed-case",
            severity="note",
            count=len(cases),
            message=f"{counted(len(cases), 'case')} with images of different labels",
            examples=shortened(f"{case}: {', '.join(labels)}" for case, labels in cases.iter_rows()),
        )
    ]
