"""Finds what a split must not have: a case, or an identical image, on two sides.

In: a manifest whose kept rows have a side. Out: the leaks, the manifest after a policy has dealt with them, and the
audit that every split passes before training. Which images are identical is in ``twins``; sides are dealt by ``split``.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import polars as pl

from radpath.data.findings import MAX_EXAMPLES, counted, exclude_and_note
from radpath.data.label_sets import one_row_a_class
from radpath.data.manifest import Finding, Manifest
from radpath.data.twins import identical_sets
from radpath.errors import DataError, LeakError
from radpath.records import SIDES, Side

LeakPolicy = Literal["stop", "exclude", "allow"]

LEAK_REASON: Final = "identical image on another side"
"""The reason, in ``exclusions.csv``, of an image that was dropped because a stronger side holds the same one."""

_MAX_CASES_NAMED = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leak:
    """One image that stands on two sides, perhaps in many copies; each pair has the earlier side first."""

    kind: Literal["identical file", "identical pixels"]
    sides: tuple[Side, Side]
    num_images: tuple[int, int]
    """How many copies each side holds."""
    record_ids: tuple[str, str]
    """One copy from each side, as an example; the labels and cases are those of these two."""
    labels: tuple[str | None, str | None]
    cases: tuple[str, str]

    def __str__(self) -> str:
        """Return one line with both images, their sides and labels."""
        ends = zip(self.sides, self.record_ids, self.labels, self.num_images, strict=True)
        named = [
            f"{side} {record_id} ({label or 'no label'})" + (f" and {copies - 1} more" if copies > 1 else "")
            for side, record_id, label, copies in ends
        ]
        return f"{' = '.join(named)}, {self.kind}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audit:
    """What was checked and counted on a split; every mapping has all three sides as keys, in order."""

    num_cases: Mapping[Side, int]
    num_images: Mapping[Side, int]
    images_per_class: Mapping[str, Mapping[Side, int]]
    cases_per_class: Mapping[str, Mapping[Side, int]]
    """A case with images of two classes counts in both."""
    num_shared_cases: int
    """Always 0: anything else stops."""
    num_leaks: int
    """Pairs of sides that share an identical image; above 0 only where the settings allow it."""


def find_leaks(manifest: Manifest) -> tuple[Leak, ...]:
    """Return one leak for each identical image and pair of sides that hold it, sorted by their record ids."""
    columns = ("twins", "record_id", "case", "label", "split", "file_digest")
    shared = _images_on_several_sides(manifest).select(columns).sort("twins", maintain_order=True)
    sets = itertools.groupby(map(_Image._make, shared.iter_rows()), key=lambda image: image.twins)
    leaks = [leak for _, images in sets for leak in _leaks_of_one(list(images))]
    return tuple(sorted(leaks, key=lambda leak: leak.record_ids))


class _Image(NamedTuple):
    """One kept image that has an identical one on another side."""

    twins: int
    record_id: str
    case: str
    label: str | None
    split: Side
    file_digest: str | None


def _images_on_several_sides(manifest: Manifest) -> pl.DataFrame:
    """Return the kept images with an identical one on another side, sorted by record id; ``twins`` numbers the sets."""
    placed = manifest.kept.filter(pl.col("split").is_not_null()).sort("record_id")
    numbered = placed.with_columns(twins=pl.Series(identical_sets(placed)))
    return numbered.filter(pl.col("split").n_unique().over("twins") > 1)


def _leaks_of_one(images: list[_Image]) -> Iterator[Leak]:
    """Yield a leak for each pair of sides among identical images."""
    on_side = {side: [image for image in images if image.split == side] for side in SIDES}
    for first, second in itertools.combinations([side for side in SIDES if on_side[side]], 2):
        files = [{copy.file_digest for copy in on_side[side] if copy.file_digest} for side in (first, second)]
        shared_file = min(files[0] & files[1], default=None)
        one, other = (
            next(copy for copy in on_side[side] if shared_file in {None, copy.file_digest}) for side in (first, second)
        )
        yield Leak(
            kind="identical file" if shared_file else "identical pixels",
            sides=(first, second),
            num_images=(len(on_side[first]), len(on_side[second])),
            record_ids=(one.record_id, other.record_id),
            labels=(one.label, other.label),
            cases=(one.case, other.case),
        )


def settle_leaks(manifest: Manifest, leaks: Sequence[Leak], *, policy: LeakPolicy) -> Manifest:
    """Return the manifest as the policy wants it, with a finding that says what was done.

    Args:
        manifest: the split in which the leaks were found.
        leaks: what ``find_leaks`` returned for it.
        policy: ``stop`` raises; ``exclude`` drops the training copies, and validation gives way to test; ``allow``
            keeps everything.

    Raises:
        LeakError: the policy is to stop; the message names the pairs.
        DataError: without the dropped images a class or a side would be gone.
    """
    if not leaks:
        return manifest
    if policy == "stop":
        raise LeakError(_stop_message(leaks))
    if policy == "exclude":
        return _without_weaker_copies(manifest)
    message = f"{_pairs(leaks)} on two sides of the split, which split.leaks = 'allow' permits: the scores are too good"
    examples = tuple(map(str, leaks[:MAX_EXAMPLES]))
    return manifest.note(
        Finding(kind="leaks-allowed", severity="warning", count=len(leaks), message=message, examples=examples)
    )


def _stop_message(leaks: Sequence[Leak]) -> str:
    """Say how many leaks there are and which setting decides, then name up to ten."""
    first = (
        f"{_pairs(leaks)} on two sides of the split; set split.leaks to 'exclude' to drop the training copies, or to "
        "'allow' to train all the same:"
    )
    rest = [f"and {len(leaks) - MAX_EXAMPLES} more"] if len(leaks) > MAX_EXAMPLES else []
    return "\n  ".join([first, *map(str, leaks[:MAX_EXAMPLES]), *rest])


def _pairs(leaks: Sequence[Leak]) -> str:
    return "1 identical image stands" if len(leaks) == 1 else f"{len(leaks):,} identical images stand"


def _without_weaker_copies(manifest: Manifest) -> Manifest:
    """Keep each identical image on the last of its sides only: test before validation before train."""
    strength = pl.col("split").replace_strict({side: number for number, side in enumerate(SIDES)}, return_dtype=pl.Int8)
    ranked = _images_on_several_sides(manifest).with_columns(strength=strength)
    strongest = pl.col("strength") == pl.col("strength").max().over("twins")
    holders = ranked.filter(strongest).group_by("twins", maintain_order=True).first()
    dropped = ranked.filter(~strongest).join(holders, on="twins", how="left", suffix="_kept", maintain_order="left")
    sentence = pl.format(
        "identical to {} on the {} side, labelled '{}'",
        "record_id_kept",
        "split_kept",
        pl.col("label_kept").fill_null("no label"),
    )
    details = dict(dropped.select("record_id", sentence.alias("sentence")).iter_rows())
    cleaned = exclude_and_note(manifest, details, reason=LEAK_REASON)
    _stop_if_emptied(manifest, cleaned)
    return cleaned


def _stop_if_emptied(before: Manifest, after: Manifest) -> None:
    """Stop where the exclusion of leaks left a side without images, or training without a class."""
    for side in SIDES:
        if side in before.kept["split"] and side not in after.kept["split"]:
            raise DataError(f"all {side} images are identical to images on another side; give different {side} images")
    rows = [one_row_a_class(table.kept.filter(pl.col("split") == "train")) for table in (before, after)]
    training = [table["label"].unique() for table in rows]
    lost = sorted(set(training[0].drop_nulls()) - set(training[1]))
    if lost:
        raise DataError(
            f"all training images of class '{lost[0]}' are identical to validation or test images; add training images"
        )


def stop_shared_cases(manifest: Manifest) -> None:
    """Stop where a case has kept images on two sides.

    Raises:
        LeakError: the message names up to five cases with their sides.
    """
    remedy = "put all images of a case on one side, or set split.source to 'fractions' for a new split"
    _stop_shared(manifest, "case", remedy=remedy)


def _stop_shared(manifest: Manifest, column: str, *, remedy: str) -> None:
    sides = manifest.kept.drop_nulls(column).group_by(column).agg(pl.col("split").drop_nulls().unique())
    shared = sides.filter(pl.col("split").list.len() > 1).sort(column)
    if shared.is_empty():
        return
    named = [
        f"{value} ({', '.join(side for side in SIDES if side in found)})"
        for value, found in shared.head(_MAX_CASES_NAMED).iter_rows()
    ]
    more = f" and {len(shared) - _MAX_CASES_NAMED} more" if len(shared) > _MAX_CASES_NAMED else ""
    number = counted(len(shared), "case") if column == "case" else f"{counted(len(shared), 'value')} of {column}"
    raise LeakError(f"{number} on two sides of the split: {', '.join(named)}{more}; {remedy}")


def stop_shared_values(manifest: Manifest, column: str) -> None:
    """Stop where kept images with one value of a column (a site, a scanner) stand on two sides.

    Raises:
        LeakError: the message names up to five values with their sides.
    """
    _stop_shared(manifest, column, remedy=f"give each {column} one side, or do not set split.apart_by")


def audit(manifest: Manifest, *, policy: LeakPolicy = "stop") -> Audit:
    """Check a split and count it; runs on every split before training.

    Raises:
        LeakError: a case stands on two sides, or an identical image does and the policy does not allow it.
        DataError: a kept image has no side.
    """
    kept = manifest.kept
    homeless = kept.filter(~pl.col("split").is_in(SIDES).fill_null(value=False))
    if len(homeless):
        raise DataError(
            f"{counted(len(homeless), 'kept image')} without a side, for example {homeless['record_id'][0]}; "
            "split them first"
        )
    stop_shared_cases(manifest)
    leaks = find_leaks(manifest)
    if leaks and policy != "allow":
        raise LeakError(_stop_message(leaks))
    rows = one_row_a_class(kept)
    return Audit(
        num_cases=_on_each_side(kept.unique(["case", "split"])["split"]),
        num_images=_on_each_side(kept["split"]),
        images_per_class=_for_each_class(rows),
        cases_per_class=_for_each_class(rows.unique(["case", "label", "split"])),
        num_shared_cases=0,
        num_leaks=len(leaks),
    )


def _for_each_class(rows: pl.DataFrame) -> dict[str, dict[Side, int]]:
    names = rows["label"].drop_nulls().unique().sort()
    return {name: _on_each_side(rows.filter(pl.col("label") == name)["split"]) for name in names}


def _on_each_side(sides: pl.Series) -> dict[Side, int]:
    counts = Counter(sides)
    return {side: counts[side] for side in SIDES}
