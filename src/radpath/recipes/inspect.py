"""``scan`` and ``split``: the data half of a run on its own, to look at before anything is trained."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from radpath import files
from radpath.data.audit.study import AuditSettings
from radpath.data.fingerprint import measure
from radpath.data.inputs import DataSettings
from radpath.data.location import Location
from radpath.data.split import Split, SplitSettings, write_splits
from radpath.errors import SettingsError, StorageError
from radpath.recipes.gathering import data_values, gather_split, gather_verified, run_name
from radpath.recipes.telling import say, say_findings, say_path, say_rows
from radpath.records import SIDES
from radpath.run_folder import RunFolder
from radpath.settings import override, parse_settings


def scan_images(images: Location, *, labels: Location | None, assignments: list[str], out: Path | None) -> Path:
    """Scan, verify and, where anything gives labels, label images; write ``manifest.parquet`` and ``exclusions.csv``.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    data = settings_of_look(images, labels, assignments, groups=("data", "split")).data
    folder = folder_to_write(out, f"{run_name(images)}-scan")
    manifest = gather_verified(data, beside=folder)
    manifest.write(folder / "manifest.parquet")
    manifest.write_exclusions(folder / "exclusions.csv")
    say_rows(f"Images in {images}", measure(manifest).to_rows())
    say_findings(manifest.findings)
    say("")
    say_path("Manifest", folder / "manifest.parquet")
    say_path("Exclusions", folder / "exclusions.csv")
    return folder


def split_images(images: Location, *, labels: Location | None, assignments: list[str], out: Path | None) -> Split:
    """Split images by case; write ``splits.csv`` and ``exclusions.csv``.

    Raises:
        LeakError: a case or an identical image stands on two sides.
        RadpathError: bad input; the message says what, where and what to do.
    """
    settings = settings_of_look(images, labels, assignments, groups=("data", "split", "audit"))
    folder = folder_to_write(out, f"{run_name(images)}-split")
    split = gather_split(settings.data, settings.split, settings.audit, beside=folder)
    write_splits(split, folder / "splits.csv")
    split.manifest.write_exclusions(folder / "exclusions.csv")
    files.write_json(folder / "split.json", settings.split.model_dump(mode="json"))
    _say_sides(split)
    say_findings(split.manifest.findings)
    say("")
    say_path("Split", folder / "splits.csv")
    say_path("Exclusions", folder / "exclusions.csv")
    return split


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookSettings:
    """The settings that a look at data may need."""

    data: DataSettings
    split: SplitSettings
    audit: AuditSettings


def settings_of_look(
    images: Location, labels: Location | None, assignments: list[str], *, groups: Sequence[str] = ("data",)
) -> LookSettings:
    """Return the settings of a command that trains nothing.

    Args:
        images: where the images are.
        labels: where the labels are; None where folders or names give them.
        assignments: ``key=value`` settings.
        groups: the tables of settings that matter to the command.

    Raises:
        SettingsError: a setting is wrong, or of another table.
    """
    values = override({"data": data_values(images, labels)}, assignments)
    foreign = [name for name in values if name not in groups]
    if foreign:
        *others, last = (f"[{name}]" for name in groups)
        named = f"{', '.join(others)} and {last}" if others else last
        raise SettingsError(f"--set {foreign[0]}: only settings of {named} matter here")
    return LookSettings(
        data=parse_settings(DataSettings, values["data"], source="--set data"),
        split=parse_settings(SplitSettings, values.get("split", {}), source="--set split"),
        audit=parse_settings(AuditSettings, values.get("audit", {}), source="--set audit"),
    )


def folder_to_write(out: Path | None, name: str) -> Path:
    """Return where the tables go, which may replace those of an earlier look but never those of a run.

    Raises:
        StorageError: the folder holds a run.
    """
    folder = out or Path("runs") / name
    if RunFolder(folder).experiment.exists():
        raise StorageError(f"{folder} holds a run, whose files would be replaced; choose another folder with --out")
    return folder


def _say_sides(split: Split) -> None:
    audit = split.audit
    rows = [("", *split.classes, "images", "cases")]
    for side in SIDES:
        counts = [str(audit.images_per_class[name][side]) for name in split.classes]
        rows.append((side, *counts, str(audit.num_images[side]), str(audit.num_cases[side])))
    say_rows("Images of each class on each side", rows)
