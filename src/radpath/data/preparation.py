"""Every image is decoded, scaled and stored once; training then reads pixels without a decoder.

In: a manifest. Out: a ``PixelStore``, a flat file of 8-bit pixels that is mapped into memory, with the place and size
of each image. A store is named by the content of the images and the settings that shaped it, so a change of either
makes another store, and an unchanged one is used again. Padding belongs to ``batches``.
"""

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import time
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
from radpath.data.morphology import StepSettings, apply_step, parse_step
from radpath.data.pixels import to_uint8
from radpath.data.reading import read_image
from radpath.data.stain.normalisation import StainReference, normalise
from radpath.errors import DataError
from radpath.progress import track
from radpath.settings import Settings

Pixels = UInt8[np.ndarray, "height width channels"]

_STORE_VERSION: Final = 1  # raised whenever the same settings would give other pixels
_WORKERS: Final = 4  # decoding and resizing release the interpreter's lock; more gain nothing on local disks
_IN_FLIGHT: Final = 32
_INDEX: Final = "index.json"
_PIXELS: Final = "pixels.bin"
_ABANDONED_S: Final = 3600  # a process at work writes pixels more often than that


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
    steps: StepSettings = Field(default_factory=StepSettings)


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
    if not (folder / _INDEX).is_file():
        _build(manifest, data, settings, folder)
    return _open(folder)


def store_key(manifest: Manifest, data: DataSettings, settings: PixelSettings) -> str:
    """Return the name of a store: a digest of the images' content and of every setting that shapes pixels."""
    content = manifest.kept.select("record_id", "file_digest").write_csv()
    shaping = {
        **settings.model_dump(mode="json"),
        "transparency": data.transparency,
        "dicom": data.dicom.model_dump(mode="json", exclude={"key_file"}),
        "version": _STORE_VERSION,
    }
    return files.digest_json([content, shaping])


def prepare_image(image: np.ndarray, settings: PixelSettings, *, stain: StainReference | None = None) -> Pixels:
    """Bring one decoded image to its depth, channels and size: (height, width, 1 or 3), uint8.

    Args:
        image: as ``read_image`` returns it.
        settings: what is done to it.
        stain: the training images' typical stain, to which colour images are brought; None to leave colours alone.
    """
    *_, (_, prepared) = stages(image, settings, stain=stain)
    return with_channels(prepared, settings.channels)


def stages(
    image: np.ndarray, settings: PixelSettings, *, stain: StainReference | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the image as it is decoded, and after each stage of ``prepare_image``, with the stage's name.

    Grey is (height, width) and colour (height, width, 3); the type is that of the stage.
    """
    yield "as decoded", image
    if stain is not None and image.ndim == 3:
        image = normalise(to_uint8(image, intensity="full"), stain).image
        yield f"stain {stain.typical.method}", image
    for text in settings.steps.before:
        image = apply_step(image, parse_step(text))
        yield text, image
    pixels = with_channels(to_uint8(image, intensity=settings.intensity), settings.channels)
    yield f"intensity {settings.intensity}, {settings.channels}", _flat(pixels)
    height, width = _size(pixels, settings)
    pixels = resize(pixels, height_px=height, width_px=width)
    yield "resized", _flat(pixels)
    image = _flat(pixels)
    for text in settings.steps.after:
        image = apply_step(image, parse_step(text))
        yield text, image


def _flat(pixels: Pixels) -> np.ndarray:
    """Return grey as (height, width), colour as it is."""
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def _size(pixels: Pixels, settings: PixelSettings) -> tuple[int, int]:
    """Return the height and width that an image gets, in pixels."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if settings.size == "native" and longest <= settings.max_side_px:
        return height, width
    target = settings.size_px if settings.size == "fixed" else settings.max_side_px
    return max(1, round(height * target / longest)), max(1, round(width * target / longest))


def with_channels(image: UInt8[np.ndarray, "..."], channels: Literal["grey", "rgb"]) -> Pixels:
    """Return (height, width, 1) or (height, width, 3); colour becomes grey by ITU-R BT.601 luma."""
    if image.ndim == 2:
        grey = image[:, :, None]
        return grey if channels == "grey" else np.repeat(grey, 3, axis=2)
    if channels == "rgb":
        return image
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(luma).astype(np.uint8)[:, :, None]


def resize(image: Pixels, *, height_px: int, width_px: int) -> UInt8[np.ndarray, "{height_px} {width_px} channels"]:
    """Scale with a bicubic, antialiased filter, several times faster than Pillow.

    Within one level of Pillow's BICUBIC (two at one pixel in 10,000). Only where the filter overshoots 0..255 may it
    differ more: in tall images the two passes come in the other order, and what overshoots is cut off between them.
    """
    if image.shape[:2] == (height_px, width_px):
        return image
    # Height, width, channels in memory is PyTorch's "channels last": no copy, and its fast path.
    batch = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    scaled = functional.interpolate(batch, size=(height_px, width_px), mode="bicubic", antialias=True)
    return np.ascontiguousarray(scaled[0].permute(1, 2, 0).numpy())


def _build(manifest: Manifest, data: DataSettings, settings: PixelSettings, folder: Path) -> None:
    """Decode, scale and write all images in order; the folder appears only when it is complete."""
    # An own name: several runs may prepare the same store at the same time.
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    kept = manifest.kept
    sizes: list[tuple[int, int]] = []
    try:
        with files.explained_storage_errors(folder):
            _remove_remains(folder)
            unfinished.mkdir(parents=True)
            with (unfinished / _PIXELS).open("wb") as flat:
                prepared = track(_prepared(manifest, data, settings), total=len(kept), what="preparing")
                for pixels in prepared:
                    flat.write(pixels.tobytes())
                    sizes.append((pixels.shape[0], pixels.shape[1]))
                flat.flush()
                os.fsync(flat.fileno())  # else a power cut could leave a complete index of missing pixels
            index = {
                "record_ids": kept["record_id"].to_list(),
                "channels": 1 if settings.channels == "grey" else 3,
                "heights_px": [height for height, _ in sizes],
                "widths_px": [width for _, width in sizes],
            }
            files.write_json(unfinished / _INDEX, index)
            _put_in_place(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _remove_remains(folder: Path) -> None:
    """Remove what a killed process or a half-done deletion left of this store."""
    if folder.is_dir() and not (folder / _INDEX).is_file():
        shutil.rmtree(folder)
    for remains in folder.parent.glob(f".{folder.name}.*.part"):
        with contextlib.suppress(FileNotFoundError):  # another process may have just finished it
            if time.time() - (remains / _PIXELS).stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(remains)


def _put_in_place(unfinished: Path, folder: Path) -> None:
    """Give a finished store its name; where another process was faster, its store is the same."""
    try:
        unfinished.rename(folder)
    except OSError:
        if not (folder / _INDEX).is_file():
            raise


def _prepared(manifest: Manifest, data: DataSettings, settings: PixelSettings) -> Iterator[Pixels]:
    """Yield prepared images in order, a few ahead of the writer."""

    def one(row: dict[str, Any]) -> Pixels:
        try:
            image = read_image(manifest.images, row["path"], row["member"], data)
        except (DataError, OSError) as error:
            raise DataError(
                f"{manifest.images / row['path']} could be read when it was scanned, not now ({error}); restore it, "
                "or start a new run"
            ) from None
        return prepare_image(image, settings)

    rows = manifest.kept.select("path", "member").to_dicts()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(rows), _IN_FLIGHT):
            yield from pool.map(one, rows[start : start + _IN_FLIGHT])


def _open(folder: Path) -> PixelStore:
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    heights, widths = (np.array(index[name], dtype=np.int64) for name in ("heights_px", "widths_px"))
    lengths = heights * widths * index["channels"]
    return PixelStore(
        record_ids=tuple(index["record_ids"]),
        heights_px=heights,
        widths_px=widths,
        channels=index["channels"],
        pixels=np.memmap(folder / _PIXELS, dtype=np.uint8, mode="r", shape=(int(lengths.sum()),)),
        offsets=np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64),
    )
