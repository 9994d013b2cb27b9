"""What a split never divides, and what it balances.

In: rows of a manifest. Out: a number for each group of cases that stay together, and a table of how much of what each
group brings. ``stratify`` deals the groups out; ``split`` says by what they are tied.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import sparse

from radpath.data.label_sets import one_row_a_class
from radpath.data.twins import NEAR_COLUMN, describe_duplicates, tied_cases


def sorted_with_groups(rows: pl.DataFrame, *, tied_by: Sequence[str] = ()) -> pl.DataFrame:
    """Return the rows by record id, with ``group`` numbering what a split of ours never divides, in order of cases.

    Args:
        rows: of a manifest, with cases and digests.
        tied_by: further columns whose equal values are never divided; null divides nothing and ties nothing.
    """
    ordered = rows.sort("record_id")
    tied = ordered.with_columns(tied=pl.Series(tied_cases(ordered, also_by=tied_by)))
    group = pl.col("case").min().over("tied").rank("dense").cast(pl.Int64) - 1  # no case is in two groups
    return tied.with_columns(group=group).drop("tied")


def what_ties(kept: pl.DataFrame, *, tied_by: Sequence[str]) -> str:
    """Return what joins cases into groups, with an example where it is images that are the same."""
    twins = describe_duplicates(kept, treatment="")[0].examples
    near = NEAR_COLUMN in tied_by and NEAR_COLUMN in kept.columns and kept[NEAR_COLUMN].is_not_null().any()
    ties = [
        *([f"identical images ({twins[0]})"] if twins else []),
        *(["nearly identical images"] if near else []),
        *(f"split.apart_by = '{name}'" for name in tied_by if name != NEAR_COLUMN),
    ]
    return " and ".join(ties)


def amounts_of_groups(rows: pl.DataFrame) -> sparse.csr_array:
    """Return a table of groups by columns to balance: each class's images, each class's cases, and all cases.

    The last column settles what the others leave open, so that small classes are not all rounded the same way. An image
    with several labels counts for each of them; dealt out with the rarest label first, that is the stratification of
    Sechidis, Tsoumakas and Vlahavas (2011, "On the stratification of multi-label data"), by groups of cases.
    """
    column = pl.col("label").rank("dense").cast(pl.Int64) - 1
    of_classes = one_row_a_class(rows)
    counted_rows = (
        of_classes.with_columns(column=column)
        .group_by("group", "column")
        .agg(images=pl.len(), cases=pl.col("case").n_unique())
        .sort("group", "column")
    )
    groups, columns = counted_rows["group"].to_numpy(), counted_rows["column"].to_numpy()
    num_classes = of_classes["label"].n_unique()
    all_cases = rows.group_by("group").agg(pl.col("case").n_unique()).sort("group")["case"].to_numpy()
    values = np.concatenate([counted_rows["images"].to_numpy(), counted_rows["cases"].to_numpy(), all_cases])
    row_numbers = np.concatenate([groups, groups, np.arange(len(all_cases))])
    column_numbers = np.concatenate([columns, columns + num_classes, np.full(len(all_cases), 2 * num_classes)])
    return sparse.csr_array((values.astype(np.float64), (row_numbers, column_numbers)))
