"""What one page (directory) of a TIFF may be; everything else is refused with its name.

In: a page as ``tiff_directory`` reads it. Out: a ``StoredImage``, and the certainty that ``tiff_pixels`` can decode the
page. Which pages of a file are images is decided in ``tiff``.
"""

from typing import Final

import tifffile

from radpath.data.formats.stored import Mode, StoredImage, damaged, unsupported
from radpath.data.formats.tiff_directory import orientation_of

NO_COMPRESSION, LZW, JPEG, PACKBITS, ZSTD = 1, 5, 7, 32773, 50000
DEFLATE: Final = (8, 32946)  # Adobe's number, and an older one for the same
JPEG_2000: Final = (33005, 34712)  # Aperio's number for RGB, and the general one
_COMPRESSIONS: Final = (NO_COMPRESSION, LZW, JPEG, PACKBITS, ZSTD, *DEFLATE, *JPEG_2000)

MINISWHITE, MINISBLACK, RGB, _PALETTE, _CMYK, YCBCR = 0, 1, 2, 3, 5, 6  # what PhotometricInterpretation can say
_UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2  # what ExtraSamples can say
UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3  # what SampleFormat can say
_SAMPLE_FORMATS: Final = {UNSIGNED: "unsigned", _SIGNED: "signed", _FLOAT: "floating-point", 5: "complex", 6: "complex"}
_HORIZONTAL_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3  # the predictors for whole and for floating-point numbers
_MODES: Final[dict[tuple[int, int, tuple[int, ...]], Mode]] = {  # photometric, samples a pixel, extra samples
    (MINISWHITE, 1, ()): "grey",
    (MINISBLACK, 1, ()): "grey",
    (MINISBLACK, 2, (_PREMULTIPLIED,)): "grey+alpha premultiplied",
    (MINISBLACK, 2, (_STRAIGHT,)): "grey+alpha",
    (RGB, 3, ()): "RGB",
    (RGB, 4, (_UNSPECIFIED,)): "RGB",  # says nothing about opacity (TIFF 6.0, page 31), so it is left out
    (RGB, 4, (_PREMULTIPLIED,)): "RGBA premultiplied",
    (RGB, 4, (_STRAIGHT,)): "RGBA",
    (_PALETTE, 1, ()): "palette",
    (_CMYK, 4, ()): "CMYK",
    (YCBCR, 3, ()): "RGB",  # only inside JPEG, whose decoder gives RGB
}
_BITS: Final[dict[tuple[Mode, int], tuple[int, ...]]] = {  # bits a sample; other modes have 8 or 16, unsigned
    ("grey", UNSIGNED): (1, 2, 4, 8, 10, 12, 14, 16, 32),
    ("RGB", UNSIGNED): (8, 10, 12, 14, 16, 32),
    **dict.fromkeys((("grey", _SIGNED), ("RGB", _SIGNED)), (8, 16, 32)),
    **dict.fromkeys((("grey", _FLOAT), ("RGB", _FLOAT)), (16, 32, 64)),
    ("palette", UNSIGNED): (1, 2, 4, 8),
}
_MAX_TILE_PX: Final = 4096 * 4096  # tiles have some hundred pixels a side; a larger one is an attack or a mistake
# What tifffile takes from tags as it is; the tags of a broken file may hold texts or several numbers instead.
_NUMBERS: Final = (
    *("imagewidth", "imagelength", "imagedepth", "tilewidth", "tilelength", "tiledepth", "rowsperstrip", "predictor"),
    *("samplesperpixel", "sampleformat", "compression", "photometric", "planarconfig", "fillorder"),
)


def parse_page(page: tifffile.TiffPage) -> StoredImage:
    """Return what a page declares.

    Raises:
        DataError: its tags contradict each other, or declare a kind of image that is not read.
    """
    for name in _NUMBERS:
        if not isinstance(getattr(page, name), int):
            raise damaged(f"the {name} of the TIFF is {getattr(page, name)!r:.40}")
    for tag in (256, 257, 262, *place_tags(page)):
        if tag not in page.tags:
            raise damaged(f"TIFF tag {tag} is missing")
    if page.imagedepth != 1 or page.tiledepth != 1 or page.is_stk:
        raise unsupported("a TIFF that holds a stack; save the image that is meant as a file of its own")
    mode = _parse_mode(page)
    bits = page.bitspersample
    if bits not in _BITS.get((mode, page.sampleformat), (8, 16) if page.sampleformat == UNSIGNED else ()):
        raise unsupported(f"a {mode} TIFF of {bits} bits a sample, {_SAMPLE_FORMATS[page.sampleformat]}")
    if min(page.imagewidth, page.imagelength) <= 0:
        raise damaged(f"the TIFF directory declares {page.imagewidth} x {page.imagelength} px")
    _require_readable(page, mode)
    return StoredImage(
        width_px=page.imagewidth,
        height_px=page.imagelength,
        mode="bilevel" if mode == "grey" and bits == 1 else mode,
        bit_depth=32 if bits > 16 or page.sampleformat != UNSIGNED else 16 if bits > 8 else 8,
        format="TIFF",
        orientation=orientation_of(page),
    )


def place_tags(page: tifffile.TiffPage) -> tuple[int, int]:
    """Return the tags of the places and sizes of strips or tiles; tifffile would guess them where they are absent."""
    return (324, 325) if page.is_tiled else (273, 279)


def segment_size_px(page: tifffile.TiffPage) -> tuple[int, int]:
    """Return width and height of a whole strip or tile."""
    return (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)


def _parse_mode(page: tifffile.TiffPage) -> Mode:
    photometric, samples, extra = page.photometric, page.samplesperpixel, page.extrasamples
    mode = _MODES.get((photometric, samples, extra))
    if mode is None or (mode == "CMYK" and page.tags.valueof(332, default=1) != 1):  # InkSet
        raise unsupported(
            f"a TIFF of {samples} samples a pixel ({len(extra)} extra) with photometric interpretation {photometric:d}"
        )
    kind = _SAMPLE_FORMATS.get(page.sampleformat, "undefined")
    if kind in ("undefined", "complex"):
        raise unsupported(f"a TIFF of {kind} samples; export it with real numbers")
    if photometric == MINISWHITE and page.sampleformat != UNSIGNED:
        raise unsupported(f"a TIFF of {kind} samples in which the lowest is white, since none is black then")
    return mode


def _require_readable(page: tifffile.TiffPage, mode: Mode) -> None:
    """Refuse combinations that are not read, and numbers that cannot be."""
    compression, bits = page.compression, page.bitspersample
    if page.samplesperpixel > 1 and page.planarconfig not in (1, 2):  # tifffile would take it for planes apart
        raise damaged(f"the TIFF has planar configuration {page.planarconfig:d}")
    if page.fillorder != 1:
        raise unsupported("a TIFF with the bits of each byte in reverse order")
    if compression not in _COMPRESSIONS:
        raise unsupported(f"a TIFF with compression {compression:d}")
    _require_predictor(page)
    if page.photometric == YCBCR and (compression != JPEG or page.planarconfig != 1):
        raise unsupported("a TIFF of YCbCr samples that are not JPEG")
    if compression in (JPEG, *JPEG_2000):
        is_plain = mode in ("grey", "RGB") and page.samplesperpixel in (1, 3) and page.sampleformat == UNSIGNED
        if not is_plain or bits not in ((8,) if compression == JPEG else (8, 16)):
            raise unsupported(f"a {mode} TIFF with JPEG compression of {bits} bits a sample")
    if page.is_tiled and page.tilewidth * page.tilelength > _MAX_TILE_PX:
        raise unsupported(f"a TIFF with tiles of {page.tilewidth} x {page.tilelength} px")
    if min(segment_size_px(page)) <= 0:
        raise damaged("the strips or tiles of the TIFF have no size")


def _require_predictor(page: tifffile.TiffPage) -> None:
    """Refuse a predictor where TIFF has none: tifffile would use it there, libtiff ignores it."""
    compression, bits = page.compression, page.bitspersample
    if page.predictor == 1 or compression in (JPEG, *JPEG_2000):  # where both ignore it
        return
    meant = _FLOAT_DIFFERENCES if page.sampleformat == _FLOAT else _HORIZONTAL_DIFFERENCES
    has_predictor = compression in (LZW, ZSTD, *DEFLATE) and bits in (8, 16, 32, 64)
    if page.predictor != meant or not has_predictor:
        raise unsupported(f"a TIFF with predictor {page.predictor:d}, compression {compression:d} and {bits} bits")
