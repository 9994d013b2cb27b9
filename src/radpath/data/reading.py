"""The one place that knows where a record's pixels are: in an image file, inside an array file, or on a slide.

In: the images folder with a record's path and member. Out: decoded pixels. ``pixels`` decodes files, ``array_file``
holds arrays, ``slides`` reads patches.
"""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from radpath import files
from radpath.data.array_file import is_array_file, read_member
from radpath.data.dicom.recognition import is_dicom
from radpath.data.dicom.records import read_pixels
from radpath.data.inputs import DataSettings
from radpath.data.location import Location, local_file
from radpath.data.pixels import Pixels, decode
from radpath.data.slides.grid import is_patch
from radpath.data.slides.opening import SLIDE_SUFFIXES
from radpath.data.slides.patches import read_patch, read_whole

Result = TypeVar("Result")

PAUSES_S: Final = (0.1, 0.5, 1.0)
"""How long to wait before each new attempt to read a file that a network folder did not deliver."""

_LASTING: Final = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def read_image(folder: Location, path: str, member: str, settings: DataSettings) -> Pixels:
    """Return a record's pixels: (height, width) for grey or (height, width, 3) for RGB, 8 or 16 bit.

    Args:
        folder: the images folder, ``Manifest.images``.
        path: below the folder, with forward slashes.
        member: "" for an image file; for an array file for example ``train_images[12]``.
        settings: what is refused, and how what an image leaves open is settled.

    Raises:
        DataError: the image is damaged, refused, or not there.
    """
    return patiently(lambda: _read_once(folder / path, member, settings))


def read_with_digest(
    folder: Location, path: str, member: str, settings: DataSettings, *, longest_side_px: int | None = None
) -> tuple[Pixels, str]:
    """Return a record's pixels as ``read_image`` does, and the digest of its file, which is fetched once for both.

    One of several images in a file has a digest of its own.

    Args:
        folder: as for ``read_image``, like what follows.
        path: as there.
        member: as there.
        settings: as there.
        longest_side_px: as for ``pixels.decode``: a JPEG that is much larger may come at a fraction of its size.
    """
    return patiently(lambda: _read_with_digest_once(folder / path, member, settings, longest_side_px))


def _read_with_digest_once(
    location: Location, member: str, settings: DataSettings, longest_side_px: int | None
) -> tuple[Pixels, str]:
    if isinstance(location, Path):
        image, status = _read_once(location, member, settings, longest_side_px), location.stat()
        digest = _digest_of_version(location, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    else:
        with local_file(location) as file:
            image, digest = _read_once(file, member, settings, longest_side_px), files.content_digest_of_file(file)
    return image, files.content_digest(f"{digest} {member}".encode()) if member else digest


@functools.lru_cache(maxsize=64)
def _digest_of_version(path: Path, _num_bytes: int, _modified_ns: int, _changed_ns: int) -> str:
    """Read a file with many images, a slide above all, once for all of them."""
    return files.content_digest_of_file(path)


def _read_once(location: Location, member: str, settings: DataSettings, longest_side_px: int | None = None) -> Pixels:
    if isinstance(location, Path) and is_patch(member):
        return read_patch(location, member)
    if isinstance(location, Path) and location.suffix.lower() in SLIDE_SUFFIXES:
        return read_whole(location, max_pixels=settings.max_pixels)
    with local_file(location) as file:
        if is_array_file(file):
            return read_member(file, member)
        with file.open("rb") as stream:
            if is_dicom(stream, file.name):
                return read_pixels(stream, member, settings.dicom, max_pixels=settings.max_pixels)
        return decode(
            file,
            member,
            max_pixels=settings.max_pixels,
            transparency=settings.transparency,
            longest_side_px=longest_side_px,
        )


def patiently(read: Callable[[], Result]) -> Result:
    """Return what ``read`` returns, trying again after a short pause where the operating system reports a failure.

    Raises:
        OSError: the last attempt failed too, or trying again cannot help (no such file, no permission).
    """
    for pause_s in PAUSES_S:
        try:
            return read()
        except _LASTING:
            raise
        except OSError:
            time.sleep(pause_s)
    return read()
