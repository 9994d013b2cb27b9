"""What a TIFF directory means: which samples a pixel has, and where its strips or tiles lie.

In: a ``Directory``. Out: a ``Layout``, consistent, or a refusal that names what is not read; then its segments (strips
or tiles). Their pixels are decoded in ``tiff``.
"""

import dataclasses
import re
from typing import Final

from radpath.data.formats.stored import Mode, StoredImage, damaged, unsupported
from radpath.data.formats.tiff_directory import Directory, orientation_of

NO_COMPRESSION: Final = 1
LZW: Final = 5
JPEG: Final = 7
PACKBITS: Final = 32773
ZSTD: Final = 50000
DEFLATE: Final = (8, 32946)  # Adobe's number, and an older one for the same
JPEG_2000: Final = (33005, 34712)  # Aperio's number for RGB, and the general one
_COMPRESSIONS: Final = (NO_COMPRESSION, LZW, JPEG, PACKBITS, ZSTD, *DEFLATE, *JPEG_2000)

MINISWHITE, MINISBLACK, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6  # what PhotometricInterpretation can say
_UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2  # what ExtraSamples can say
_SAMPLE_FORMATS: Final = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_HORIZONTAL_DIFFERENCES: Final = 2  # the predictor for whole numbers
_PLANES_APART: Final = 2  # of PlanarConfiguration
_MAX_TILE_PX: Final = 4096 * 4096  # tiles have some hundred pixels a side; a larger one is an attack or a mistake

_MODES: Final[dict[tuple[int, int, tuple[int, ...]], Mode]] = {  # photometric, samples a pixel, extra samples
    (MINISWHITE, 1, ()): "grey",
    (MINISBLACK, 1, ()): "grey",
    (MINISBLACK, 2, (_PREMULTIPLIED,)): "grey+alpha premultiplied",
    (MINISBLACK, 2, (_STRAIGHT,)): "grey+alpha",
    (RGB, 3, ()): "RGB",
    (RGB, 4, (_UNSPECIFIED,)): "RGB",  # says nothing about opacity (TIFF 6.0, page 31), so it is left out
    (RGB, 4, (_PREMULTIPLIED,)): "RGBA premultiplied",
    (RGB, 4, (_STRAIGHT,)): "RGBA",
    (PALETTE, 1, ()): "palette",
    (CMYK, 4, ()): "CMYK",
    (YCBCR, 3, ()): "RGB",  # only inside JPEG, whose decoder gives RGB
}
_BIT_DEPTHS: Final[dict[Mode, tuple[int, ...]]] = {"grey": (1, 2, 4, 8, 16), "palette": (1, 2, 4, 8)}

_IMAGE_WIDTH, _IMAGE_LENGTH, _BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_FILL_ORDER, _DESCRIPTION, _STRIP_OFFSETS, _SAMPLES_PER_PIXEL, _ROWS_PER_STRIP = 266, 270, 273, 277, 278
_STRIP_BYTE_COUNTS, _PLANAR, _PREDICTOR, _COLOUR_MAP, _TILE_WIDTH, _TILE_LENGTH = 279, 284, 317, 320, 322, 323
_TILE_OFFSETS, _TILE_BYTE_COUNTS, _INK_SET, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 324, 325, 332, 338, 339
_JPEG_TABLES, _IMAGE_DEPTH = 347, 32997
# ImageJ and tifffile can write a stack as one page, and say so only in the description.
_STACK: Final = re.compile(rb"\AImageJ=.*^images=(?!1$)|\A\{.*\"truncated\": true", re.DOTALL | re.MULTILINE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """How the pixels of a page are stored."""

    stored: StoredImage
    byte_order: str
    """struct's sign for samples of 16 bits."""
    samples_per_pixel: int
    bits_per_sample: int
    photometric: int
    compression: int
    has_differences: bool
    """Whether each sample is stored as its difference from the one to its left."""
    has_planes_apart: bool
    """Whether all red samples stand before all green ones, and so on."""
    is_tiled: bool
    segment_width_px: int
    """Width of a tile, or of the image where it is stored in strips."""
    segment_height_px: int
    colour_map: tuple[int, ...]
    """Palette of 16-bit values, all reds first; empty for other images."""
    jpeg_tables: bytes | None
    """What all JPEG segments share, where it stands apart from them."""

    @property
    def samples_per_segment(self) -> int:
        """How many samples of a pixel stand together."""
        return 1 if self.has_planes_apart else self.samples_per_pixel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """Where one strip or tile lies, in the image and in the file."""

    row: int
    column: int
    plane: int
    num_rows: int
    """Rows that belong to the image; a tile at the border, or a last strip, may hold more."""
    num_columns: int
    start: int
    end: int


def parse_layout(directory: Directory) -> Layout:
    """Return how the page's pixels are stored.

    Raises:
        DataError: the directory is damaged, or declares something that is not read.
    """
    _refuse_several_images(directory)
    if directory.number(_FILL_ORDER, default=1) != 1:
        raise unsupported("a TIFF with the bits of each byte in reverse order")
    stored = _parse_stored(directory)
    is_tiled = _TILE_WIDTH in directory.fields
    compression = directory.number(_COMPRESSION, default=NO_COMPRESSION)
    layout = Layout(
        stored=stored,
        byte_order=directory.byte_order,
        samples_per_pixel=directory.number(_SAMPLES_PER_PIXEL, default=1),
        bits_per_sample=directory.number(_BITS_PER_SAMPLE, default=1),
        photometric=directory.number(_PHOTOMETRIC),
        compression=compression,
        has_differences=_has_differences(directory, compression),
        has_planes_apart=directory.number(_PLANAR, default=1) == _PLANES_APART,
        is_tiled=is_tiled,
        segment_width_px=directory.number(_TILE_WIDTH) if is_tiled else stored.width_px,
        segment_height_px=directory.number(_TILE_LENGTH)
        if is_tiled
        else min(directory.number(_ROWS_PER_STRIP, default=stored.height_px), stored.height_px),
        colour_map=directory.numbers(_COLOUR_MAP) if stored.mode == "palette" else (),
        jpeg_tables=directory.raw(_JPEG_TABLES) or None,
    )
    _check(layout)
    return layout


def parse_segments(directory: Directory, layout: Layout) -> list[Segment]:
    """Return every strip or tile of the page, plane by plane, row by row.

    Raises:
        DataError: their number or their places do not fit the image.
    """
    offsets_tag, counts_tag = (
        (_TILE_OFFSETS, _TILE_BYTE_COUNTS) if layout.is_tiled else (_STRIP_OFFSETS, _STRIP_BYTE_COUNTS)
    )
    offsets, counts = directory.numbers(offsets_tag), directory.numbers(counts_tag)
    num_planes = layout.samples_per_pixel // layout.samples_per_segment
    num_rows = -(-layout.stored.height_px // layout.segment_height_px)
    num_columns = -(-layout.stored.width_px // layout.segment_width_px)
    num_segments = num_planes * num_rows * num_columns
    if not num_segments == len(offsets) == len(counts):
        raise damaged(f"the TIFF lists {len(offsets)} of {num_segments} strips or tiles")
    places = [
        (plane, row, column)
        for plane in range(num_planes)
        for row in range(0, layout.stored.height_px, layout.segment_height_px)
        for column in range(0, layout.stored.width_px, layout.segment_width_px)
    ]
    if not all(offsets) or not all(counts):
        raise damaged("strips or tiles of the TIFF are missing")
    return [
        Segment(
            row=row,
            column=column,
            plane=plane,
            num_rows=min(layout.segment_height_px, layout.stored.height_px - row),
            num_columns=min(layout.segment_width_px, layout.stored.width_px - column),
            start=offset,
            end=offset + count,
        )
        for (plane, row, column), offset, count in zip(places, offsets, counts, strict=True)
    ]


def _refuse_several_images(directory: Directory) -> None:
    if directory.has_next:
        raise unsupported("a TIFF of more than one page; save the page that is meant as a file of its own")
    if directory.number(_IMAGE_DEPTH, default=1) != 1 or _STACK.match(directory.raw(_DESCRIPTION)):
        raise unsupported("a TIFF that holds a stack; save the image that is meant as a file of its own")


def _parse_stored(directory: Directory) -> StoredImage:
    mode = _parse_mode(directory)
    bit_depths = set(directory.numbers(_BITS_PER_SAMPLE, (1,)))
    if not bit_depths <= set(_BIT_DEPTHS.get(mode, (8, 16))) or len(bit_depths) != 1:
        raise unsupported(f"a {mode} TIFF of {', '.join(map(str, sorted(bit_depths)))} bits a sample")
    width_px, height_px = directory.number(_IMAGE_WIDTH), directory.number(_IMAGE_LENGTH)
    if not width_px or not height_px:
        raise damaged(f"the TIFF directory declares {width_px} x {height_px} px")
    return StoredImage(
        width_px=width_px,
        height_px=height_px,
        mode="bilevel" if mode == "grey" and bit_depths == {1} else mode,
        bit_depth=16 if bit_depths == {16} else 8,
        format="TIFF",
        orientation=orientation_of(directory),
    )


def _parse_mode(directory: Directory) -> Mode:
    formats = directory.numbers(_SAMPLE_FORMAT, (1,))
    if set(formats) != {1}:
        kind = _SAMPLE_FORMATS.get(max(formats, default=0), "undefined")
        raise unsupported(f"a TIFF of {kind} samples; export it with 8 or 16 bits, from 0 up")
    photometric = directory.number(_PHOTOMETRIC)
    samples = directory.number(_SAMPLES_PER_PIXEL, default=1)
    extra = directory.numbers(_EXTRA_SAMPLES)
    mode = _MODES.get((photometric, samples, extra))
    if mode is None or (mode == "CMYK" and directory.number(_INK_SET, default=1) != 1):
        raise unsupported(
            f"a TIFF of {samples} samples a pixel ({len(extra)} extra) with photometric interpretation {photometric}"
        )
    return mode


def _has_differences(directory: Directory, compression: int) -> bool:
    """Return whether a predictor was used; TIFF has it for general compression only and ignores it elsewhere."""
    predictor = directory.number(_PREDICTOR, default=1)
    if predictor == 1 or compression not in (LZW, ZSTD, *DEFLATE):
        return False
    if predictor != _HORIZONTAL_DIFFERENCES:
        raise unsupported(f"a TIFF with predictor {predictor}")
    return True


def _check(layout: Layout) -> None:
    """Refuse combinations that are not read, and numbers that cannot be."""
    if layout.compression not in _COMPRESSIONS:
        raise unsupported(f"a TIFF with compression {layout.compression}")
    if layout.photometric == YCBCR and (layout.compression != JPEG or layout.has_planes_apart):
        raise unsupported("a TIFF of YCbCr samples that are not JPEG")
    is_plain = layout.stored.mode in ("grey", "RGB") and layout.samples_per_pixel in (1, 3)
    if layout.compression in (JPEG, *JPEG_2000) and not (is_plain and layout.bits_per_sample >= 8):
        raise unsupported(f"a {layout.stored.mode} TIFF with JPEG compression")
    if layout.compression == JPEG and layout.bits_per_sample != 8:
        raise unsupported(f"a TIFF with JPEG compression of {layout.bits_per_sample} bits a sample")
    if layout.stored.mode == "palette" and len(layout.colour_map) != 3 * 2**layout.bits_per_sample:
        raise damaged(f"the palette of the TIFF has {len(layout.colour_map)} numbers")
    if not layout.segment_width_px or not layout.segment_height_px:
        raise damaged("the strips or tiles of the TIFF have no size")
    if layout.is_tiled and layout.segment_width_px * layout.segment_height_px > _MAX_TILE_PX:
        raise unsupported(f"a TIFF with tiles of {layout.segment_width_px} x {layout.segment_height_px} px")
