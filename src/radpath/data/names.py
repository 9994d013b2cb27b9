"""What an image's name says: its case, stain, label and side, by a pattern that is a setting.

In: a manifest and a regular expression with named groups. Out: the manifest with those columns filled. Tables and
folders of classes are read in ``labels``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import polars as pl

from radpath.data.findings import counted, exclude_and_note, shortened
from radpath.data.manifest import Finding, Manifest
from radpath.errors import DataError
from radpath.records import Side

SIDE_NAMES: Final[dict[str, Side]] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

_COLUMNS: Final = ("case", "stain", "label", "split")
_ARRAYS: Final = "NPZ"  # the format of images in an array file


def side_named(text: str) -> Side | None:
    """Return the side of a split that people mean by ``text``, or None.

    >>> side_named("Valid"), side_named("benign")
    ('validation', None)
    """
    return SIDE_NAMES.get(text.strip().lower())


def read_sides(texts: Iterable[str], *, source: str) -> list[Side | None]:
    """Return the side that each text names, None for an empty one.

    Args:
        texts: as people write them.
        source: where they stand, for the error message.

    Raises:
        DataError: some texts name no side.
    """
    texts = list(texts)
    unknown = sorted({text for text in texts if text and side_named(text) is None})
    if unknown:
        raise DataError(
            f"{source} says {', '.join(repr(text) for text in unknown[:5])}"
            f"{' and more' if len(unknown) > 5 else ''}; a side is train, validation or test"
        )
    return [side_named(text) for text in texts]


def attach_names(manifest: Manifest, pattern: str) -> Manifest:
    """Fill case, stain, label and split from the images' paths; other groups become text columns ``name_GROUP``.

    The pattern is searched, not matched, in the path below the images folder. An image that it does not fit, or
    whose group ``case`` is empty, is excluded.

    Raises:
        DataError: the pattern fits no image, or its group ``split`` says something that is no side.
    """
    expression = re.compile(pattern)
    found = [_groups(expression, path) for path in manifest.table["path"]]
    if not any(found):
        example = f"; a path is for example '{manifest.table['path'][0]}'" if len(manifest.table) else ""
        raise DataError(f"data.name_pattern {pattern!r} fits no image below {manifest.images}{example}")
    columns = _columns(expression, found)
    if "split" in columns:
        sides = read_sides(columns["split"], source=f"the group split of data.name_pattern {pattern!r}")
        columns["split"] = [side or "" for side in sides]
    table = manifest.table.with_columns(_series(columns))
    unfit = {
        record_id: f"data.name_pattern {pattern!r} does not fit '{path}'"
        for record_id, path, texts in zip(table["record_id"], table["path"], found, strict=True)
        if not texts
    }
    return exclude_and_note(manifest.replace(table), unfit, reason="name does not match the pattern")


def attach_cases(manifest: Manifest, pattern: str) -> Manifest:
    """Fill what ``attach_names`` fills, but neither labels nor sides, in the images that the pattern fits.

    So the images of a new study that is named like the old one find their cases; no image is refused for its name.
    """
    expression = re.compile(pattern)
    columns = _columns(expression, [_groups(expression, path) for path in manifest.table["path"]])
    told = [series for series in _series(columns) if series.name not in {"label", "split"}]
    known = manifest.table.columns
    filled = [pl.coalesce(pl.lit(one), one.name).alias(one.name) if one.name in known else one for one in told]
    return manifest.replace(manifest.table.with_columns(filled))


def _columns(expression: re.Pattern[str], found: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return what the groups found, by the column that each fills."""
    return {
        group if group in _COLUMNS else f"name_{group}": [texts.get(group, "") for texts in found]
        for group in expression.groupindex
    }


def _series(columns: Mapping[str, list[str]]) -> list[pl.Series]:
    return [pl.Series(name, [text or None for text in texts], dtype=pl.String) for name, texts in columns.items()]


def _groups(expression: re.Pattern[str], path: str) -> dict[str, str]:
    """Return what each group found; nothing at all where the pattern does not fit or the case is empty."""
    match = expression.search(path)
    if match is None:
        return {}
    texts = {group: (text or "").strip() for group, text in match.groupdict().items()}
    return texts if texts.get("case", "present") else {}


def assume_cases(manifest: Manifest) -> Manifest:
    """Make every kept image without a case its own, mark it so, and note how many there are.

    Images of one file (pages, frames, patches) are one case: they show the same patient far more often than not. An
    array file is a whole study, so that its images are cases of their own.
    """
    lacks_case = (pl.col("status") == "kept") & pl.col("case").is_null()
    in_array = pl.col("format").eq_missing(pl.lit(_ARRAYS))
    own = pl.when((pl.col("member") != "") & ~in_array).then(pl.col("path")).otherwise(pl.col("record_id"))
    table = manifest.table.with_columns(
        case=pl.when(lacks_case).then(own).otherwise(pl.col("case")), case_assumed=lacks_case
    )
    assumed = table.filter("case_assumed")
    in_array_file = bool(assumed.select(in_array.all()).item())
    advice = (
        "an array file cannot name any"
        if in_array_file
        else "if a patient has several images, name the cases with data.case_column or data.name_pattern"
    )
    finding = Finding(
        kind="case-assumed",
        severity="note" if in_array_file else "warning",
        count=len(assumed),
        message=f"nothing names the case of {counted(len(assumed), 'image')}, so each counts as its own; {advice}",
        examples=shortened(assumed["record_id"]),
    )
    return manifest.replace(table).note(finding)
