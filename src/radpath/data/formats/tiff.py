"""TIFF 6.0 and BigTIFF: which images a file holds, and the pixels of one of them.

In: an open file. Out: a ``StoredImage`` for each image with its name inside the file ("page[2]"), or ``Samples``.
Reduced copies, thumbnails and masks are no images. Tags are read in ``tiff_directory``, judged in ``tiff_page``; pixels
are decoded in ``tiff_pixels``.
"""

import dataclasses
import io
import itertools
import re
from typing import Annotated, Final, Literal

import tifffile
from pydantic import Field

from radpath.data.formats.stored import Samples, StoredImage, damaged, unsupported
from radpath.data.formats.tiff_directory import SIGNATURES, directory_offsets, open_tiff, read_directory
from radpath.data.formats.tiff_page import parse_page
from radpath.data.formats.tiff_pixels import decode_page
from radpath.errors import DataError
from radpath.settings import Settings

Pages = Literal["all"] | Annotated[int, Field(ge=0)]

_MEMBER: Final = re.compile(r"page\[([0-9]+)\]")
# ImageJ and tifffile can write a stack as one page, and say so only in the description.
_IMAGEJ_STACK: Final = re.compile(r"\AImageJ=.*^images=([0-9]+)", re.DOTALL | re.MULTILINE)
_OTHER_STACK: Final = re.compile(r"\A\{.*\"truncated\": true", re.DOTALL)
_REDUCED_OR_MASK: Final = 0b101  # bits of NewSubfileType
_CLEARLY_SMALLER: Final = 0.75


class TiffSettings(Settings):
    """What is taken from TIFF files of several pages."""

    pages: Pages = "all"
    """Which pages of a TIFF are images: all (each a record "page[N]", reduced copies and masks left out), or one by its
    number, counted from 0."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TiffImage:
    """One image of an open TIFF file."""

    index: int
    """Of its page, or of its place in a stack of ImageJ; counted from 0."""
    page: tifffile.TiffPage
    """The directory that describes it; one describes all images of a stack."""
    skip_bytes: int = 0
    """How far behind the pixels of ``page`` its own begin."""

    @property
    def name(self) -> str:
        """What it is called inside a file of several."""
        return f"page[{self.index}]"

    def stored(self) -> StoredImage:
        """Return what its directory declares.

        Raises:
            DataError: the directory contradicts itself, or declares a kind of image that is not read.
        """
        return parse_page(self.page)

    def decode(self) -> Samples:
        """Return its pixels.

        Raises:
            DataError: as ``stored``; or the pixels are truncated or damaged.
        """
        return decode_page(self.page, self.stored(), skip_bytes=self.skip_bytes)


def is_tiff(stream: io.BufferedIOBase) -> bool:
    """Return whether a stream begins as a TIFF does; it then stands at its begin."""
    stream.seek(0)
    start = stream.read(4)
    stream.seek(0)
    return start in SIGNATURES


def read_tiff(stream: io.BufferedIOBase, pages: Pages = "all") -> list[tuple[str, StoredImage]]:
    """Read the headers of a stream of which ``is_tiff`` is true.

    Returns:
        The images in their order, each with its name inside the file: "" for the only one, else "page[N]".

    Raises:
        DataError: a directory is damaged, or one of the images is of a kind that is not read, or missing.
    """
    every = _every_image(stream)
    if pages != "all":
        chosen = every[pages : pages + 1]
        if not chosen:
            raise DataError(f"no such page: page[{pages}] is asked for, the TIFF has {len(every)}, counted from 0")
    else:
        chosen = _without_copies(every)
        if len(chosen) == 1:
            return [("", chosen[0].stored())]
    return [("" if len(every) == 1 else image.name, _stored_or_named(image)) for image in chosen]


def find_image(stream: io.BufferedIOBase, member: str = "") -> TiffImage:
    """Return one image of a stream of which ``is_tiff`` is true.

    Args:
        stream: the file, which must stay open until the image is decoded.
        member: a name that ``read_tiff`` gave.

    Raises:
        DataError: the file does not hold that image, or a directory on the way to it is damaged.
    """
    if not member:
        images = _without_copies(_every_image(stream))
        if len(images) > 1:
            raise unsupported(f"a TIFF of {len(images)} images; name the one that is meant, as {images[0].name}")
        return images[0]
    match = _MEMBER.fullmatch(member)
    file = open_tiff(stream)
    index = int(match[1]) if match else -1
    offset = next(itertools.islice(directory_offsets(file), index, None), None) if match else None
    if offset is not None:
        return TiffImage(index=index, page=read_directory(file, index, offset))
    images = _every_image(stream) if match else []
    if index >= len(images) or not match:
        raise DataError(f"no such page: the TIFF holds no {member}")
    return images[index]


def _every_image(stream: io.BufferedIOBase) -> list[TiffImage]:
    """Return all pages of a file, or all images of a stack that one page describes."""
    file = open_tiff(stream)
    places = enumerate(directory_offsets(file))
    images = [TiffImage(index=index, page=read_directory(file, index, offset)) for index, offset in places]
    description = images[0].page.description
    stack = _IMAGEJ_STACK.match(description)
    stack_size = int(stack[1]) if stack else len(images)
    if len(images) == 1 and stack_size > 1:
        return _stack(images[0].page, stack_size)
    if stack_size not in (1, len(images)) or _OTHER_STACK.match(description):
        raise unsupported("a TIFF that holds a stack; save the image that is meant as a file of its own")
    return images


def _stack(page: tifffile.TiffPage, stack_size: int) -> list[TiffImage]:
    """Return the images that follow each other behind one directory, as ImageJ writes large stacks."""
    parse_page(page)
    if not page.is_contiguous or page.planarconfig != 1:
        raise unsupported("a stack of ImageJ whose pixels are compressed; save its images as files of their own")
    first = page.dataoffsets[0]
    if first + stack_size * page.nbytes > page.parent.filehandle.size:
        raise damaged(f"the TIFF ends before the last of {stack_size} images")
    return [TiffImage(index=index, page=page, skip_bytes=index * page.nbytes) for index in range(stack_size)]


def _without_copies(images: list[TiffImage]) -> list[TiffImage]:
    """Leave out masks and reduced copies; the only page is an image, whatever it says of itself."""
    first = images[0].page
    kept = [image for image in images if not _says_copy(image.page) and not _is_pyramid_level(image.page, first)]
    return kept or images[:1]


def _says_copy(page: tifffile.TiffPage) -> bool:
    return isinstance(page.subfiletype, int) and bool(page.subfiletype & _REDUCED_OR_MASK)


def _is_pyramid_level(page: tifffile.TiffPage, first: tifffile.TiffPage) -> bool:
    """Return whether a page that says nothing of itself is a smaller copy: in tiles as the first, of the same shape."""
    sides = (page.imagewidth, page.imagelength, first.imagewidth, first.imagelength)
    if not (page.is_tiled and first.is_tiled) or not all(isinstance(side, int) and side > 0 for side in sides):
        return False
    scale = page.imagewidth / first.imagewidth
    return bool(scale < _CLEARLY_SMALLER and abs(page.imagelength - first.imagelength * scale) <= 2)


def _stored_or_named(image: TiffImage) -> StoredImage:
    """Return what an image declares; an error says which of several it is."""
    try:
        return image.stored()
    except DataError as error:
        raise DataError(f"{error} ({image.name})") from None
