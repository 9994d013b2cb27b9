"""``describe``: a page about a study, before anything is trained: what there is, how large, how balanced."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from radpath.data.class_order import natural_order
from radpath.data.fingerprint import measure
from radpath.data.inputs import DataSettings
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.data.pixels import to_uint8
from radpath.data.reading import read_image
from radpath.data.twins import describe_duplicates
from radpath.errors import DataError
from radpath.recipes.gathering import gather_verified, run_name
from radpath.recipes.inspect import folder_to_write, settings_of_look
from radpath.recipes.run_facts import exclusions_of, label_source
from radpath.recipes.telling import say, say_findings, say_path, say_rows
from radpath.records import SIDES
from radpath.reporting.content import Sample
from radpath.reporting.study import write_study_page
from radpath.reporting.study_content import Balance, StudyContent
from radpath.reporting.thumbnails import thumbnail
from radpath.reporting.wording import SIDE_NAMES
from radpath.seeding import generator_for

_SAMPLES_A_CLASS: Final = 12
_MOST_CLASSES_SHOWN: Final = 40
_MOST_VALUES: Final = 12  # of a column in a table of balance
_UNLABELLED: Final = "no label"


def describe_images(
    images: Location, *, labels: Location | None, assignments: list[str], out: Path | None, command: str
) -> Path:
    """Write ``description.html`` about images and, where anything gives them, labels and sides; return the page.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    values = settings_of_look(images, labels, assignments, groups=("data",))
    folder = folder_to_write(out, f"{run_name(images)}-description")
    manifest = gather_verified(values.data, beside=folder)
    manifest = manifest.note(*describe_duplicates(manifest.kept, treatment="look at them before you split"))
    page = folder / "description.html"
    write_study_page(StudyContent(kind="description", **study_facts(manifest, values.data, command)), page)
    say_rows(f"Images in {images}", measure(manifest).to_rows())
    say_findings(manifest.findings)
    say("")
    say_path("Description", page)
    return page


def study_facts(manifest: Manifest, data: DataSettings, command: str) -> dict[str, Any]:
    """Return the fields of a ``StudyContent`` that every page about a study has."""
    return {
        "title": run_name(data.images),
        "command": command,
        "created": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "images": str(data.images),
        "labels": str(data.labels) if data.labels else label_source(data.images),
        "facts": tuple(measure(manifest).to_rows()),
        "sizes_px": {
            name: rows.select("width_px", "height_px").to_numpy().astype(np.int64)
            for name, rows in _by_class(manifest).items()
        },
        "balances": tuple(_balances(manifest)),
        "samples": _samples(manifest, data),
        "exclusions": exclusions_of(manifest),
        "findings": manifest.findings,
    }


class Pictures:
    """Thumbnails of images as they are in their files; a grey square where an image is not there any more."""

    def __init__(self, manifest: Manifest, data: DataSettings) -> None:
        self._images, self._data = manifest.images, data
        rows = manifest.table.select("record_id", "path", "member").iter_rows()
        self._places = {record_id: (path, member) for record_id, path, member in rows}

    def of(self, record_id: str) -> bytes:
        """Return one thumbnail; more than 8 bits are shown from their darkest to their brightest value."""
        path, member = self._places.get(record_id, ("", ""))
        try:
            image = read_image(self._images, path, member, self._data)
        except (DataError, OSError):
            return thumbnail(np.full((32, 32), 128, dtype=np.uint8))
        return thumbnail(to_uint8(image, intensity="full" if image.dtype == np.uint8 else "minmax"))


def _by_class(manifest: Manifest) -> dict[str, pl.DataFrame]:
    """Return the kept rows of each class in natural order; those without a label last."""
    kept = manifest.kept.with_columns(pl.col("label").fill_null(_UNLABELLED))
    present = natural_order(name for name in kept["label"].unique() if name != _UNLABELLED)
    names = [*present, *([_UNLABELLED] if _UNLABELLED in kept["label"] else [])]
    return {name: kept.filter(pl.col("label") == name) for name in names}


def _balances(manifest: Manifest) -> Iterator[Balance]:
    """Yield the classes by side and by every column of acquisition that has a few values."""
    classes = _by_class(manifest)
    if manifest.kept["split"].is_not_null().any():
        names: dict[str | None, str] = {None: "no side"}
        names = {**{side: SIDE_NAMES[side] for side in SIDES}, **names}
        yield Balance(of="side", counts=_counts(classes, "split", names))
    else:
        yield Balance(of="class", counts={"Images": {name: len(rows) for name, rows in classes.items()}})
    for column in ("site", "scanner", "manufacturer", "modality", "stain", "format"):
        values = manifest.kept[column].value_counts(sort=True)[column].to_list()
        if 1 < len(values) <= _MOST_VALUES:
            yield Balance(of=column, counts=_counts(classes, column, {value: value or "unknown" for value in values}))


def _counts(classes: Mapping[str, pl.DataFrame], column: str, names: Mapping[Any, str]) -> dict[str, dict[str, int]]:
    """Return, for each value that occurs, the images of each class."""
    counts = {
        shown: {
            name: len(rows.filter(pl.col(column).is_null() if value is None else pl.col(column) == value))
            for name, rows in classes.items()
        }
        for value, shown in names.items()
    }
    return {shown: of_class for shown, of_class in counts.items() if sum(of_class.values())}


def _samples(manifest: Manifest, data: DataSettings) -> dict[str, tuple[Sample, ...]]:
    """Choose some images of each class at random, each from another case where there are enough."""
    pictures = Pictures(manifest, data)
    chosen = {}
    for name, rows in list(_by_class(manifest).items())[:_MOST_CLASSES_SHOWN]:
        order = generator_for(0, "samples", name).permutation(len(rows))
        some = rows[order.tolist()].unique("case", maintain_order=True).head(_SAMPLES_A_CLASS)
        chosen[name] = tuple(
            Sample(picture=pictures.of(record_id), caption=f"{record_id}, {width} x {height} px")
            for record_id, width, height in some.select("record_id", "width_px", "height_px").iter_rows()
        )
    return chosen
