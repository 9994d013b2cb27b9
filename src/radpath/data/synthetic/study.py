"""Writes a made study: a folder of images, and a table of labels beside it.

In: how many cases, how many images of what size, and a seed. Out: files, and a ``SyntheticStudy`` that knows the truth.
Tests, documentation and the demo use it alike.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from radpath import files
from radpath.data.synthetic.faults import FaultPlan, PlantedFault, plan_faults, png_bytes
from radpath.data.synthetic.planning import (
    NAME_PATTERN,
    PlannedImage,
    SizeRange,
    case_name,
    plan_case,
    plan_cases,
)
from radpath.data.synthetic.tissue import KINDS, Kind
from radpath.errors import SettingsError, StorageError
from radpath.progress import track

IMAGES_FOLDER: Final = "images"
LABELS_FILE: Final = "labels.csv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticStudy:
    """Where a made study lies, and what is true of it."""

    images: Path
    """The folder of images."""
    labels: Path
    """A CSV file with the columns case and label; beside the images, not among them."""
    name_pattern: str
    """Regular expression that matches every image's name, with the groups case and stain."""
    classes: tuple[str, ...]
    """The labels, from normal to invasive."""
    truth: Mapping[str, str]
    """What each image file shows, by file name, also where the table of labels does not say."""
    faults: tuple[PlantedFault, ...]
    """What is wrong on purpose; empty in a clean study."""


def write_synthetic(
    folder: Path,
    *,
    cases_per_class: int,
    images_per_case: tuple[int, int],
    seed: int,
    sizes: SizeRange | None = None,
    faults: bool = True,
) -> SyntheticStudy:
    """Write a study of the four kinds of tissue below ``folder``; pixels and labels are the same on every machine.

    Args:
        folder: a new or empty folder.
        cases_per_class: how many cases of each kind; at least 1, with faults at least 2.
        images_per_case: the smallest and the largest number of images of a case.
        seed: another one gives other images, sizes and case numbers.
        sizes: sides of the images; by default 30 to 320 px with a median of 112.
        faults: plant one fault of every kind beside the clean images.

    Raises:
        SettingsError: a number is out of its range.
        StorageError: the folder holds something already, or cannot be written.
    """
    _check_counts(cases_per_class, images_per_case, faults=faults)
    _check_empty(folder)
    sizes = sizes or SizeRange()
    cases = plan_cases(cases_per_class, seed=seed)

    def images_of(case: str, kind: Kind) -> list[PlannedImage]:
        return plan_case(case, kind, images_per_case=images_per_case, sizes=sizes, seed=seed)

    images = [image for case, kind in cases for image in images_of(case, kind)]
    plans: list[FaultPlan] = []
    if faults:
        unlabelled = images_of(case_name(len(cases) + 1), "in_situ")
        disputed = images_of(case_name(len(cases) + 2), "benign")
        plans = plan_faults(images, unlabelled=unlabelled, disputed=disputed)
    study = _study(folder, images, plans)
    _write_files(study.images, images, plans)
    _write_labels(study.labels, [*cases, *(row for plan in plans for row in plan.label_rows)])
    return study


def _study(folder: Path, images: Iterable[PlannedImage], plans: Iterable[FaultPlan]) -> SyntheticStudy:
    truth: dict[str, str] = {image.name: image.kind for image in images}
    for plan in plans:
        truth.update(plan.truth)
    return SyntheticStudy(
        images=folder / IMAGES_FOLDER,
        labels=folder / LABELS_FILE,
        name_pattern=NAME_PATTERN,
        classes=KINDS,
        truth=dict(sorted(truth.items())),
        faults=tuple(plan.fault for plan in plans),
    )


def _check_counts(cases_per_class: int, images_per_case: tuple[int, int], *, faults: bool) -> None:
    fewest = 2 if faults else 1
    if cases_per_class < fewest:
        reason = "; planted copies stand in two cases of a class" if faults else ""
        raise SettingsError(f"cases_per_class is {cases_per_class}; it must be at least {fewest}{reason}")
    low, high = images_per_case
    if not 1 <= low <= high:
        raise SettingsError(f"images_per_case is {low} to {high}; it must rise, from at least 1")


def _check_empty(folder: Path) -> None:
    with files.explained_storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StorageError(f"{folder} is not empty; name a new folder for the synthetic images")


def _write_files(folder: Path, images: list[PlannedImage], plans: Iterable[FaultPlan]) -> None:
    for image in track(images, total=len(images), what="drawing"):
        files.write_bytes(folder / image.name, png_bytes(image.draw()))
    for plan in plans:
        for name, content in plan.contents.items():
            files.write_bytes(folder / name, content)


def _write_labels(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    lines = ["case,label", *(f"{case},{label}" for case, label in rows)]
    files.write_text(path, "\n".join(lines) + "\n")
