"""Prepared images as plain PNG files, in folders that other programs take for sides and classes."""

import io
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import UInt8
from PIL import Image

from radpath import files
from radpath.data.intensity import Intensity, fit_intensity
from radpath.data.label_sets import is_label_set
from radpath.data.manifest import Manifest
from radpath.data.pixel_store import PixelStore
from radpath.progress import track
from radpath.recipes.experiment import Experiment

_FOLDER_OF_SIDE: Final = {"train": "training", "validation": "validation", "test": "test"}


def export_png(experiment: Experiment, manifest: Manifest, store: PixelStore, folder: Path) -> None:
    """Write every prepared image as PNG of 8 bits, below SIDE/CLASS/; where nothing is labelled, side by side.

    Levels are spread as ``pixels.intensity`` says; what lies beyond 0 and 1 is cut off, since 8 bits cannot hold it. Of
    images with the same name in one folder, the later ones get a number.

    Args:
        experiment: how levels become numbers.
        manifest: with sides, where anything is labelled.
        store: the prepared images.
        folder: where they go.

    Raises:
        StorageError: the disk is full.
    """
    placed = manifest.kept
    places = dict(zip(placed["record_id"], store.index(placed["record_id"].to_list()).tolist(), strict=True))
    training = placed.filter(pl.col("split") == "train")["record_id"].to_list()
    fitted_on = store.statistics.of(np.array([places[record] for record in training or places], dtype=np.int64))
    pixels = experiment.pixels
    intensity = fit_intensity(pixels.intensity, pixels.intensity_scope, pixels.range, fitted_on)
    taken: set[str] = set()
    rows = placed.select("record_id", "label", "split").iter_rows()
    for record_id, label, side in track(rows, total=len(placed), what="writing"):
        name = _free_name(record_id, label, side, taken)
        files.write_bytes(folder / name, _png(_in_8_bits(store, places[record_id], intensity)))


def _free_name(record_id: str, label: str | None, side: str | None, taken: set[str]) -> str:
    """Return SIDE/CLASS/NAME.png; what a file system forbids in a name becomes an underscore."""
    above = [_FOLDER_OF_SIDE[side]] if side else []
    above += [_as_name(label)] if label and not is_label_set(label) else []
    stem = _as_name(PurePosixPath(record_id.replace("#", "/")).stem or record_id)
    name = "/".join([*above, f"{stem}.png"])
    number = 1
    while name.casefold() in taken:
        number += 1
        name = "/".join([*above, f"{stem}-{number}.png"])
    taken.add(name.casefold())
    return name


def _as_name(text: str) -> str:
    return "".join("_" if letter in '<>:"/\\|?*' or ord(letter) < 32 else letter for letter in text).strip(". ") or "_"


def _in_8_bits(store: PixelStore, place: int, intensity: Intensity) -> UInt8[np.ndarray, "height width channels"]:
    zero, one = intensity.levels(store.statistics.of(np.array([place])))
    levels = store.image(place) * store.slopes[place] + store.intercepts[place]
    eight: UInt8[np.ndarray, "height width channels"] = np.rint(
        ((levels - zero) / (one - zero)).clip(0, 1) * 255
    ).astype(np.uint8)
    return eight


def _png(image: UInt8[np.ndarray, "height width channels"]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(content, "PNG")
    return content.getvalue()
