"""Every image is decoded, scaled and stored once; training then reads pixels without a decoder.

In: a manifest. Out: a ``PixelStore``, a flat file of 8-bit pixels that is mapped into memory, with the place and size
of each image. A store is named by the content of the images and the settings that shaped it, so a change of either
makes another store, and an unchanged one is used again. Padding belongs to ``batches``.
"""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
import torch
from jaxtyping import Int, UInt8
from pydantic import Field
from torch.nn import functional

from radpath import files
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.pixels import to_uint8
from radpath.data.reading import read_image
from radpath.progress import track
from radpath.settings import Settings

Pixels = UInt8[np.ndarray, "height width channels"]

_STORE_VERSION: Final = 1  # raised whenever the same settings would give other pixels
_WORKERS: Final = 4  # decoding and resizing release the interpreter's lock; more gain nothing on local disks
_IN_FLIGHT: Final = 32


class PixelSettings(Settings):
    """How pixels reach the network; the same in training, validation, test and prediction."""

    size: Literal["fixed", "native"] = "fixed"
    """fixed: every image is scaled to fit into size_px x size_px, aspect ratio kept, the rest padded; native: images
    keep their size and are batched with images of similar height and width."""
    size_px: int = Field(default=224, ge=16, le=4096)
    """Side of the square that images are scaled to, in pixels (size = "fixed")."""
    max_side_px: int = Field(default=1024, ge=32, le=16384)
    """Images with a longer side are scaled down to it, in pixels (size = "native")."""
    intensity: Literal["full", "minmax"] = "full"
    """full: the whole range of the bit depth becomes 0..1; minmax: each image's own minimum and maximum become 0 and 1
    (for 16-bit files that use a small part of their range)."""
    channels: Literal["grey", "rgb"] = "rgb"
    """grey: one channel, repeated for the network; rgb: three channels."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelStore:
    """Prepared pixels of many images, in the order of ``record_ids``."""

    record_ids: tuple[str, ...]
    heights_px: Int[np.ndarray, " images"]
    widths_px: Int[np.ndarray, " images"]
    channels: int
    pixels: UInt8[np.ndarray, " bytes"]
    offsets: Int[np.ndarray, " images"]

    def image(self, index: int) -> Pixels:
        """Return one image, without copying."""
        height, width = int(self.heights_px[index]), int(self.widths_px[index])
        start = int(self.offsets[index])
        flat = self.pixels[start : start + height * width * self.channels]
        return flat.reshape(height, width, self.channels)

    def index(self, record_ids: list[str]) -> Int[np.ndarray, " chosen"]:
        """Return the positions of records by their ids."""
        place = {record: position for position, record in enumerate(self.record_ids)}
        return np.array([place[record] for record in record_ids], dtype=np.int64)


def prepare(manifest: Manifest, data: DataSettings, settings: PixelSettings, *, stores: Path) -> PixelStore:
    """Return the store of the manifest's kept images, making it below ``stores`` where it is not there yet.

    Raises:
        DataError: an image that was readable when it was verified is not any more.
        StorageError: the disk is full.
    """
    folder = stores / store_key(manifest, data, settings)
    if not (folder / "index.json").is_file():
        _build(manifest, data, settings, folder)
    return _open(folder)


def store_key(manifest: Manifest, data: DataSettings, settings: PixelSettings) -> str:
    """Return the name of a store: a digest of the images' content and of every setting that shapes pixels."""
    content = manifest.kept.select("record_id", "file_digest").write_csv()
    shaping = {**settings.model_dump(mode="json"), "transparency": data.transparency, "version": _STORE_VERSION}
    return files.digest_json([content, shaping])


def prepare_image(image: np.ndarray, settings: PixelSettings) -> Pixels:
    """Bring one decoded image to its depth, channels and size: (height, width, 1 or 3), uint8."""
    pixels = with_channels(to_uint8(image, intensity=settings.intensity), settings.channels)
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if settings.size == "native" and longest <= settings.max_side_px:
        return pixels
    target = settings.size_px if settings.size == "fixed" else settings.max_side_px
    return resize(
        pixels,
        height_px=max(1, round(height * target / longest)),
        width_px=max(1, round(width * target / longest)),
    )


def with_channels(image: UInt8[np.ndarray, "..."], channels: Literal["grey", "rgb"]) -> Pixels:
    """Return (height, width, 1) or (height, width, 3); colour becomes grey by ITU-R BT.601 luma."""
    if image.ndim == 2:
        grey = image[:, :, None]
        return grey if channels == "grey" else np.repeat(grey, 3, axis=2)
    if channels == "rgb":
        return image
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(luma).astype(np.uint8)[:, :, None]


def resize(image: Pixels, *, height_px: int, width_px: int) -> Pixels:
    """Scale with a bicubic, antialiased filter; within one level of Pillow's BICUBIC, several times faster."""
    if image.shape[:2] == (height_px, width_px):
        return image
    # Height, width, channels in memory is PyTorch's "channels last": no copy, and its fast path.
    batch = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    scaled = functional.interpolate(batch, size=(height_px, width_px), mode="bicubic", antialias=True)
    return np.ascontiguousarray(scaled[0].permute(1, 2, 0).numpy())


def _build(manifest: Manifest, data: DataSettings, settings: PixelSettings, folder: Path) -> None:
    """Decode, scale and write all images in order; the folder appears only when it is complete."""
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    kept = manifest.kept
    sizes: list[tuple[int, int]] = []
    try:
        with files.explained_storage_errors(unfinished):
            unfinished.mkdir(parents=True)
            with (unfinished / "pixels.bin").open("wb") as flat:
                prepared = track(_prepared(manifest, data, settings), total=len(kept), what="preparing")
                for pixels in prepared:
                    flat.write(pixels.tobytes())
                    sizes.append((pixels.shape[0], pixels.shape[1]))
            index = {
                "record_ids": kept["record_id"].to_list(),
                "channels": 1 if settings.channels == "grey" else 3,
                "heights_px": [height for height, _ in sizes],
                "widths_px": [width for _, width in sizes],
            }
            files.write_json(unfinished / "index.json", index)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _prepared(manifest: Manifest, data: DataSettings, settings: PixelSettings) -> Iterator[Pixels]:
    """Yield prepared images in order, a few ahead of the writer."""

    def one(row: dict[str, Any]) -> Pixels:
        image = read_image(
            manifest.images,
            row["path"],
            row["member"],
            max_pixels=data.max_pixels,
            transparency=data.transparency,
        )
        return prepare_image(image, settings)

    rows = manifest.kept.select("path", "member").to_dicts()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(rows), _IN_FLIGHT):
            yield from pool.map(one, rows[start : start + _IN_FLIGHT])


def _open(folder: Path) -> PixelStore:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    heights, widths = (np.array(index[name], dtype=np.int64) for name in ("heights_px", "widths_px"))
    lengths = heights * widths * index["channels"]
    return PixelStore(
        record_ids=tuple(index["record_ids"]),
        heights_px=heights,
        widths_px=widths,
        channels=index["channels"],
        pixels=np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r", shape=(int(lengths.sum()),)),
        offsets=np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
    )
