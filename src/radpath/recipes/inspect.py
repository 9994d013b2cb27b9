"""``scan`` and ``split``: the data half of a run on its own, to look at before anything is trained."""

from pathlib import Path
from typing import Any

from radpath import files
from radpath.data.fingerprint import measure
from radpath.data.ingest import verify
from radpath.data.inputs import DataSettings
from radpath.data.location import Location
from radpath.data.split import Split, SplitSettings, split_by_case, write_splits
from radpath.errors import SettingsError, StorageError
from radpath.recipes.gathering import data_values, gather_verified, gather_what_there_is, pools_beside, run_name
from radpath.recipes.telling import say, say_findings, say_path, say_rows
from radpath.records import SIDES
from radpath.run_folder import RunFolder
from radpath.settings import override, parse_settings


def scan_images(images: Location, *, labels: Location | None, assignments: list[str], out: Path | None) -> Path:
    """Scan, verify and, where anything gives labels, label images; write ``manifest.parquet`` and ``exclusions.csv``.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    data, _ = _settings(images, labels, assignments)
    folder = _folder_to_write(out, f"{run_name(images)}-scan")
    manifest = verify(gather_what_there_is(data, beside=folder), data, stores=pools_beside(folder))
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
    data, values = _settings(images, labels, assignments)
    settings = parse_settings(SplitSettings, values.get("split", {}), source="--set split")
    folder = _folder_to_write(out, f"{run_name(images)}-split")
    split = split_by_case(gather_verified(data, beside=folder), settings)
    write_splits(split, folder / "splits.csv")
    split.manifest.write_exclusions(folder / "exclusions.csv")
    files.write_json(folder / "split.json", settings.model_dump(mode="json"))
    _say_sides(split)
    say_findings(split.manifest.findings)
    say("")
    say_path("Split", folder / "splits.csv")
    say_path("Exclusions", folder / "exclusions.csv")
    return split


def _settings(images: Location, labels: Location | None, assignments: list[str]) -> tuple[DataSettings, dict[str, Any]]:
    values = override({"data": data_values(images, labels)}, assignments)
    foreign = [name for name in values if name not in ("data", "split")]
    if foreign:
        raise SettingsError(f"--set {foreign[0]}: only settings of [data] and [split] matter here")
    return parse_settings(DataSettings, values["data"], source="--set data"), values


def _folder_to_write(out: Path | None, name: str) -> Path:
    """Return where the tables go, which may replace those of an earlier look but never those of a run."""
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
