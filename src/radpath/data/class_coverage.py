"""Whether every class, or every label of several, is on every side of a split.

In: rows of a manifest. Out: an error where a class cannot be learned, and warnings where it cannot be evaluated.
"""

import polars as pl

from radpath.data.findings import MAX_EXAMPLES, counted
from radpath.data.groups import sorted_with_groups, what_ties
from radpath.data.label_sets import one_row_a_class
from radpath.data.manifest import Finding, Manifest
from radpath.errors import DataError
from radpath.records import SIDES


def require_a_case_for_each_side(kept: pl.DataFrame, classes: tuple[str, ...], tied_by: tuple[str, ...]) -> None:
    """Stop where a class has fewer groups of cases than there are sides.

    Raises:
        DataError: the message names the class and its cases.
    """
    grouped = one_row_a_class(sorted_with_groups(kept, tied_by=tied_by))
    for name in classes:
        images = grouped.filter(pl.col("label") == name)
        num_cases, num_groups = images["case"].n_unique(), images["group"].n_unique()
        if num_groups >= len(SIDES):
            continue
        tied = f", tied into {num_groups} by {what_ties(kept, tied_by=tied_by)}" if num_groups < num_cases else ""
        raise DataError(
            f"class '{name}' has {counted(num_cases, 'case')}{tied}, but train, validation and test need one each; add "
            "cases, drop or merge the class, or name each side's cases in split.train_cases and its neighbours"
        )


def describe_classes(manifest: Manifest, classes: tuple[str, ...]) -> list[Finding]:
    """Return a warning for each side of the evaluation that lacks a class.

    Raises:
        DataError: training lacks a class, or a side has no images.
    """
    findings = []
    for side in SIDES:
        present = set(one_row_a_class(manifest.kept.filter(pl.col("split") == side))["label"])
        if not present:
            raise DataError(f"the {side} side is empty, and training has no case to spare for it; add cases")
        lacking = [name for name in classes if name not in present]
        if not lacking:
            continue
        named = ", ".join(f"'{name}'" for name in lacking[:MAX_EXAMPLES])
        message = f"the {side} side has no image of {named}; give that side such cases"
        if side == "train":
            raise DataError(f"{message}, or leave the class out: it cannot be learned")
        findings.append(
            Finding(kind=f"class-missing-from-{side}", severity="warning", count=len(lacking), message=message)
        )
    return findings
