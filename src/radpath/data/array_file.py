"""Array files in the MedMNIST layout (Yang et al. 2023): six arrays in one .npz, images and labels of three sides.

In: the path of the file. Out: one manifest row an image, and the pixels of one image. Nothing in the file is trusted:
pickled objects are refused, and shapes are read before anything is decompressed.
"""

import contextlib
import functools
import re
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from radpath import files
from radpath.data.label_sets import encoded
from radpath.data.location import Location
from radpath.data.pixels import Pixels
from radpath.errors import DataError
from radpath.progress import track
from radpath.records import Side

ARRAY_SUFFIX: Final = ".npz"

SIDES_OF_ARRAYS: Final[dict[str, Side]] = {"train": "train", "val": "validation", "test": "test"}

_MEMBER: Final = re.compile(r"(?P<array>(?:train|val|test)_images)\[(?P<index>[0-9]+)\]")
_BIT_DEPTHS: Final = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}
_CHANNEL_MODES: Final = {1: "grey", 3: "RGB"}
_CACHED_ARRAYS: Final = 3  # the images of the three sides

# Threads that decode side by side must not decompress the same array twice.
_loading = threading.Lock()


def is_array_file(path: Location) -> bool:
    """Return whether the name says that ``path`` is an array file.

    >>> is_array_file(Path("breastmnist.npz"))
    True
    """
    return path.suffix.lower() == ARRAY_SUFFIX


def array_rows(path: Path) -> list[dict[str, object]]:
    """Return one manifest row for each image of an array file, with its label and its side.

    The digest of a member is that of its own pixels, so that equal images inside one file are found.

    Raises:
        DataError: the file is damaged, an array is missing, or its shape or type is not MedMNIST's.
    """
    shapes = _declared_arrays(path)
    for name in SIDES_OF_ARRAYS:
        _require_images_and_labels(path, name, shapes)
    total = sum(shapes[f"{name}_images"][0][0] for name in SIDES_OF_ARRAYS)
    if not total:
        raise DataError(f"{path} holds no images: its arrays are empty")
    return list(track(_rows(path), total=total, what="reading arrays"))


def read_member(path: Path, member: str) -> Pixels:
    """Return one image of an array file, grey or RGB as ``pixels.decode`` returns it; its array is decompressed once.

    Args:
        path: the array file.
        member: which image, for example ``train_images[12]``.

    Raises:
        DataError: the file is damaged, or has no such image.
    """
    parts = _MEMBER.fullmatch(member)
    if parts is None:
        raise DataError(f"'{member}' names no image of an array file; it must look like train_images[12]")
    images = _load(path, parts["array"])
    index = int(parts["index"])
    if index >= len(images):
        raise DataError(
            f"{path} has no {member}; {parts['array']} holds {len(images)} images; run `radpath scan` again"
        )
    image = np.array(images[index])  # a copy: the cached array is shared and read-only
    return image[..., 0] if image.shape[2:] == (1,) else image


def _rows(path: Path) -> Iterator[dict[str, object]]:
    for name, side in SIDES_OF_ARRAYS.items():
        labels = _load(path, f"{name}_labels")
        for index, label in enumerate(labels):
            member = f"{name}_images[{index}]"
            image = read_member(path, member)
            height_px, width_px, channels = (*image.shape, 1)[:3]
            record_id = f"{path.name}#{member}"
            yield {
                "record_id": record_id,
                "path": path.name,
                "member": member,
                "label": _label_of(label),
                "split": side,
                "width_px": width_px,
                "height_px": height_px,
                "channels": channels,
                "bit_depth": _BIT_DEPTHS[image.dtype],
                "mode": _CHANNEL_MODES[channels],
                "format": "NPZ",
                "bytes": image.nbytes,
                "file_digest": files.content_digest(f"{image.shape} {image.dtype}\n".encode(), image.tobytes()),
            }


def _num_labels(shape: tuple[int, ...]) -> int:
    return shape[1] if len(shape) == 2 else 1


def _label_of(label: npt.NDArray[np.generic] | np.generic) -> str:
    """Return the class of an image, or its set of labels, which are numbered.

    Raises:
        DataError: one of several labels is neither 1 nor 0.
    """
    numbers = [int(number) for number in np.atleast_1d(label)]
    if len(numbers) == 1:
        return str(numbers[0])
    if not {*numbers} <= {0, 1}:
        raise DataError(f"an array of labels with several columns holds {max(numbers)}; it must hold 1 and 0")
    return encoded({str(place): number == 1 for place, number in enumerate(numbers)})


def _require_images_and_labels(
    path: Path, name: str, arrays: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]
) -> None:
    """Check one side's two arrays by their declared shapes and types."""
    missing = [f"{name}_{kind}" for kind in ("images", "labels") if f"{name}_{kind}" not in arrays]
    if missing:
        wanted = ", ".join(f"{side}_images, {side}_labels" for side in SIDES_OF_ARRAYS)
        raise DataError(f"{path} has no array {missing[0]}; radpath reads {wanted}; it holds: {', '.join(arrays)}")
    shape, kind = arrays[f"{name}_images"]
    grey_or_colour = len(shape) == 3 or (len(shape) == 4 and shape[3] in _CHANNEL_MODES)
    if kind not in _BIT_DEPTHS or not grey_or_colour:
        raise DataError(
            f"{path}: {name}_images is {kind} of shape {shape}; it must be uint8 or uint16 of shape "
            "(images, height, width), with 1 or 3 channels after that or none"
        )
    label_shape, label_kind = arrays[f"{name}_labels"]
    is_table = label_shape == (shape[0], _num_labels(arrays["train_labels"][0])) and len(label_shape) == 2
    is_column = _num_labels(arrays["train_labels"][0]) == 1 and label_shape in {shape[:1], (shape[0], 1)}
    if label_kind.kind not in "iu" or not (is_table or is_column):
        raise DataError(
            f"{path}: {name}_labels is {label_kind} of shape {label_shape}; "
            f"it must hold one whole number for each of {shape[0]} images, or 1 or 0 for each of several labels"
        )


def _declared_arrays(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    """Return the shape and type that each array's header declares, without decompressing the array."""
    with _explained(path), zipfile.ZipFile(path) as archive:
        return {
            entry.filename.removesuffix(".npy"): _read_header(archive, entry)
            for entry in archive.infolist()
            if entry.filename.endswith(".npy")
        }


def _read_header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    with archive.open(entry) as content:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(content)
        declared_bytes = int(np.prod(shape, dtype=object)) * kind.itemsize
        held_bytes = entry.file_size - content.tell()
        if not kind.hasobject and held_bytes != declared_bytes:
            raise ValueError(f"{entry.filename} declares {declared_bytes} bytes and holds {held_bytes}")
    return shape, kind


def _load(path: Path, name: str) -> npt.NDArray[np.generic]:
    with _explained(path), _loading:
        return _load_version(path, path.stat().st_mtime_ns, name)


@functools.lru_cache(maxsize=_CACHED_ARRAYS)
def _load_version(path: Path, _modified_ns: int, name: str) -> npt.NDArray[np.generic]:
    """Decompress one array; the time of modification makes a rewritten file a new entry of the cache."""
    with np.load(path, allow_pickle=False) as arrays:
        array: npt.NDArray[np.generic] = arrays[name]
    array.flags.writeable = False
    return array


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever a damaged array file provokes into one line."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"there is no array file {path}") from None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read as an array file (.npz): {error}") from None
