"""Gives every kept image a side (train, validation or test) such that no case stands on two.

In: a manifest with cases, labels and digests, perhaps with sides that folders, a column or an array file gave. Out: a
``Split``, audited. Identical images are found in ``twins``, judged in ``leaks``; what is never divided is in
``groups``, the arithmetic of dealing groups out in ``stratify``.
"""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from radpath import files
from radpath.data.class_coverage import describe_classes, require_a_case_for_each_side
from radpath.data.class_order import natural_order
from radpath.data.findings import counted, exclude_and_note
from radpath.data.groups import amounts_of_groups, sorted_with_groups
from radpath.data.label_sets import classes_among
from radpath.data.leaks import (
    Audit,
    Leak,
    LeakPolicy,
    audit,
    find_leaks,
    settle_leaks,
    stop_shared_cases,
    stop_shared_values,
)
from radpath.data.manifest import Finding, Manifest
from radpath.data.stratify import assign_groups
from radpath.data.training_share import keep_training_share
from radpath.data.twins import NEAR_COLUMN, describe_duplicates
from radpath.errors import DataError
from radpath.records import SIDES, Side
from radpath.settings import Settings

Source = Literal["given", "fractions", "cases"]
"""Where the sides of a split came from."""

Share = Annotated[float, Field(gt=0, lt=1)]

_MAX_CASES_NAMED = 5


class SplitSettings(Settings):
    """How images are divided into training, validation and test."""

    source: Literal["auto", "given", "fractions", "cases"] = "auto"
    """Where the sides come from: "given" (folders, a column or an array file), "fractions" (a new split by case),
    "cases" (the lists below), or "auto" (the lists where there are any, else what is given, else fractions)."""
    test_fraction: Share = 0.2
    """Share of the cases kept aside until the final evaluation, in (0, 1), where radpath makes the test side."""
    validation_fraction: Share = 0.15
    """Share of the cases that choose checkpoints and thresholds, in (0, 1), where radpath makes the validation side."""
    train_cases: tuple[str, ...] = ()
    """Cases to train on. With any list, cases in no list are excluded, and a missing side is taken from this one."""
    validation_cases: tuple[str, ...] = ()
    """Cases for validation."""
    test_cases: tuple[str, ...] = ()
    """Cases for the test."""
    seed: int = 0
    """Seed of the split; the same seed and images give the same sides, in whatever order the images come."""
    near_duplicates: Literal["together", "ignore"] = "together"
    """Whether a new split keeps cases with nearly identical images on one side, as it does for identical ones; the
    audit finds them (audit.near_duplicates)."""
    apart_by: str | None = None
    """Column (site, scanner, ...) of which all images of one value are on one side, so that the test asks about values
    never seen in training; an image without a value goes with its case. Not set: only cases are kept together."""
    train_share: float = Field(default=1.0, gt=0, le=1)
    """Below 1, this share of the training cases of each class is learned from, and the others are excluded; validation
    and test stay as they are. A smaller share lies inside a larger one."""
    leaks: LeakPolicy = "stop"
    """What to do where an identical file or identical pixels stand on two sides of a split: "stop", "exclude" (drop
    the training copy; validation gives way to test), or "allow" (train, and warn in the report)."""

    @property
    def case_lists(self) -> dict[Side, tuple[str, ...]]:
        """The lists of cases by side."""
        return {"train": self.train_cases, "validation": self.validation_cases, "test": self.test_cases}

    @property
    def tied_by(self) -> tuple[str, ...]:
        """Columns whose equal values a new split keeps on one side, beside cases and identical images."""
        near = (NEAR_COLUMN,) if self.near_duplicates == "together" else ()
        return near if self.apart_by is None else (*near, self.apart_by)

    @model_validator(mode="after")
    def _fractions_leave_something_to_train_on(self) -> "SplitSettings":
        if self.test_fraction + self.validation_fraction >= 1:
            raise ValueError(
                f"test_fraction {self.test_fraction} and validation_fraction {self.validation_fraction} leave nothing "
                "to train on; their sum must be below 1"
            )
        return self

    @model_validator(mode="after")
    def _lists_fit_the_source_and_each_other(self) -> "SplitSettings":
        listed = any(self.case_lists.values())
        if self.source == "cases" and not listed:
            raise ValueError("source is 'cases' but train_cases, validation_cases and test_cases are empty; fill them")
        if self.source in {"given", "fractions"} and listed:
            raise ValueError(
                f"source is '{self.source}' but cases are listed; empty the lists or set source to 'cases'"
            )
        times = Counter(case for cases in self.case_lists.values() for case in set(cases))
        twice = sorted(case for case, count in times.items() if count > 1)
        if twice:
            named = ", ".join(f"'{case}'" for case in twice[:_MAX_CASES_NAMED])
            raise ValueError(f"{counted(len(twice), 'case')} in two lists: {named}; leave each case in one list")
        return self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """A manifest in which every kept image has a side, and what is known of that division."""

    manifest: Manifest
    classes: tuple[str, ...]
    """The labels of the kept images in natural order; the order of the model's outputs."""
    source: Source
    leaks: tuple[Leak, ...]
    """The leaks that were found; the settings say whether their weaker copies were excluded or allowed."""
    audit: Audit


def split_by_case(manifest: Manifest, settings: SplitSettings) -> Split:
    """Give every kept image a side, check the result, and add findings about what was done.

    Raises:
        DataError: an image has no case or label, a listed case does not exist, or a class has too few cases.
        LeakError: a case stands on two sides, or an identical image does and the settings say to stop.
    """
    _require_cases_and_labels(manifest)
    _require_column(manifest, settings.apart_by)
    source = _source_in_use(manifest, settings)
    started = _with_sides_from(source, manifest, settings)
    _require_something_to_learn(started, source, settings)
    stop_shared_cases(started)
    if settings.leaks == "allow":  # sides are completed first, so that the finding names the sides of the end
        completed = _with_missing_sides(started, settings, source)
        leaks = find_leaks(completed)
        settled = settle_leaks(completed, leaks, policy="allow")
    else:
        leaks = find_leaks(started)
        settled = _with_missing_sides(settle_leaks(started, leaks, policy=settings.leaks), settings, source)
    classes = natural_order(classes_among(settled.kept))
    settled = keep_training_share(settled, settings.train_share, seed=settings.seed)
    checked = settled.note(*describe_classes(settled, classes), *_describe_twins(started, source))
    if settings.apart_by is not None:
        stop_shared_values(checked, settings.apart_by)
    summary = audit(checked, policy=settings.leaks)
    return Split(manifest=checked, classes=classes, source=source, leaks=leaks, audit=summary)


def write_splits(split: Split, path: Path) -> None:
    """Write one row for every kept image, with its side, as CSV."""
    files.write_text(path, split.manifest.kept.select("record_id", "case", "label", "split").write_csv())


def _require_cases_and_labels(manifest: Manifest) -> None:
    kept = manifest.kept
    if kept.is_empty():
        raise DataError(f"no image below {manifest.images} is left to split; look at the reasons in exclusions.csv")
    for column in ("case", "label"):
        lacking = kept.filter(pl.col(column).is_null())["record_id"]
        if len(lacking):
            raise DataError(
                f"{counted(len(lacking), 'kept image')} without a {column}, for example {lacking[0]}; "
                "attach labels before splitting"
            )


def _require_column(manifest: Manifest, name: str | None) -> None:
    """Stop where images are to be kept apart by a column that says nothing."""
    if name is None:
        return
    if name not in manifest.table.columns:
        raise DataError(f"split.apart_by is '{name}', which is no column; known: {', '.join(manifest.table.columns)}")
    if manifest.kept[name].is_null().all():
        raise DataError(
            f"split.apart_by is '{name}', which no kept image has; give it in the labels or by data.name_pattern"
        )


def _source_in_use(manifest: Manifest, settings: SplitSettings) -> Source:
    if settings.source != "auto":
        return settings.source
    if any(settings.case_lists.values()):
        return "cases"
    return "given" if manifest.kept["split"].is_not_null().any() else "fractions"


def _with_sides_from(source: Source, manifest: Manifest, settings: SplitSettings) -> Manifest:
    """Return the manifest with the sides that the source names; a new split starts with everything in train."""
    if source == "cases":
        return _with_listed_sides(manifest, settings)
    if source == "given":
        return _with_given_sides(manifest)
    kept = pl.col("status") == "kept"
    return manifest.replace(manifest.table.with_columns(split=pl.when(kept).then(pl.lit("train"))))


def _with_listed_sides(manifest: Manifest, settings: SplitSettings) -> Manifest:
    side_of = {case: side for side, cases in settings.case_lists.items() for case in cases}
    unknown = sorted(set(side_of) - set(manifest.table["case"]))
    if unknown:
        named = ", ".join(f"'{case}'" for case in unknown[:_MAX_CASES_NAMED])
        raise DataError(
            f"{counted(len(unknown), 'listed case')} without an image: {named}; correct split.train_cases, "
            "split.validation_cases or split.test_cases"
        )
    sides = pl.col("case").replace_strict(side_of, default=None, return_dtype=pl.String)
    listed = manifest.replace(manifest.table.with_columns(split=sides))
    left_out = listed.kept.filter(pl.col("split").is_null())
    details = {
        record_id: f"case '{case}' is in none of train_cases, validation_cases and test_cases"
        for record_id, case in left_out.select("record_id", "case").iter_rows()
    }
    return exclude_and_note(listed, details, reason="case in no list")


def _with_given_sides(manifest: Manifest) -> Manifest:
    strange = manifest.kept.filter(pl.col("split").is_not_null() & ~pl.col("split").is_in(SIDES))
    if len(strange):
        raise DataError(f"'{strange['split'][0]}' is not a side; sides are {', '.join(SIDES)}")
    without = manifest.kept.filter(pl.col("split").is_null())["record_id"]
    details = dict.fromkeys(without, "other images were given a side of the split, this one was not")
    return exclude_and_note(manifest, details, reason="no side given")


def _require_something_to_learn(manifest: Manifest, source: Source, settings: SplitSettings) -> None:
    """Stop where there is nothing to train on, one class only, or a class with too few cases for a new split."""
    kept = manifest.kept
    if "train" not in kept["split"]:
        where = "split.train_cases names no kept image" if source == "cases" else "no image was given the training side"
        raise DataError(f"{where}; give some, or set split.source to 'fractions' for a new split")
    classes = natural_order(classes_among(kept))
    if len(classes) == 1:
        raise DataError(
            f"all {len(kept):,} images have the label '{classes[0]}'; a classifier needs two or more classes"
        )
    if source == "fractions":
        require_a_case_for_each_side(kept, classes, settings.tied_by)


def _with_missing_sides(manifest: Manifest, settings: SplitSettings, source: Source) -> Manifest:
    """Move cases from train to each side that has none, stratified by class."""
    fractions: dict[Side, float] = {"validation": settings.validation_fraction, "test": settings.test_fraction}
    missing = {side: share for side, share in fractions.items() if side not in manifest.kept["split"]}
    if not missing:
        return manifest
    training = sorted_with_groups(manifest.kept.filter(pl.col("split") == "train"), tied_by=settings.tied_by)
    shares = [1 - sum(missing.values()), *missing.values()]
    refined = settings.apart_by is not None  # a few large groups are dealt poorly by size alone
    numbers = assign_groups(amounts_of_groups(training), shares, seed=settings.seed, refined=refined)
    sides = np.array(["train", *missing])[numbers[training["group"].to_numpy()]]
    dealt = training.select("record_id", dealt=pl.Series(sides, dtype=pl.String))
    table = manifest.table.join(dealt, on="record_id", how="left", maintain_order="left")
    completed = manifest.replace(table.with_columns(split=pl.coalesce("dealt", "split")).drop("dealt"))
    return completed if source == "fractions" else completed.note(*_describe_carved(completed, list(missing)))


def _describe_carved(manifest: Manifest, carved: list[Side]) -> list[Finding]:
    num_cases = {side: manifest.kept.filter(pl.col("split") == side)["case"].n_unique() for side in ("train", *carved)}
    return [
        Finding(
            kind=f"{side}-side-made",
            severity="note",
            count=num_cases[side],
            message=f"the split that was given has no {side} side; {num_cases[side]} of {sum(num_cases.values())} "
            "training cases were moved there",
        )
        for side in carved
    ]


def _describe_twins(manifest: Manifest, source: Source) -> tuple[Finding, Finding]:
    kept_together = "the cases that share them are on one side"
    judged = "where they stand on two sides, split.leaks decides"
    return describe_duplicates(manifest.kept, treatment=kept_together if source == "fractions" else judged)
