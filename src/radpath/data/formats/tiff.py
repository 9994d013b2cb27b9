"""TIFF 6.0 and BigTIFF of one page: header and pixels.

tifffile reads the directory and decodes strips, tiles and predictors. Here stands what a page may be, everything else
being refused with its name, what its samples mean (tifffile leaves MINISWHITE, planes and palettes as they are), and
the damage that tifffile fills in without a word: absent strips, JPEG streams that are cut short or of another size.
"""

import functools
import io
import math
import operator
import re
import struct
from typing import Final

import numpy as np
import tifffile
from jaxtyping import UInt8

from radpath.data.formats import jpeg
from radpath.data.formats.stored import Mode, Samples, StoredImage, damaged, look_up, unsupported
from radpath.data.formats.tiff_directory import explained_errors, orientation_of, read_first_page

_NO_COMPRESSION, _LZW, _JPEG, _PACKBITS, _ZSTD = 1, 5, 7, 32773, 50000
_DEFLATE: Final = (8, 32946)  # Adobe's number, and an older one for the same
_JPEG_2000: Final = (33005, 34712)  # Aperio's number for RGB, and the general one
_COMPRESSIONS: Final = (_NO_COMPRESSION, _LZW, _JPEG, _PACKBITS, _ZSTD, *_DEFLATE, *_JPEG_2000)

_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6  # what PhotometricInterpretation can say
_UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2  # what ExtraSamples can say
_SAMPLE_FORMATS: Final = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_HORIZONTAL_DIFFERENCES: Final = 2  # the predictor for whole numbers
_MODES: Final[dict[tuple[int, int, tuple[int, ...]], Mode]] = {  # photometric, samples a pixel, extra samples
    (_MINISWHITE, 1, ()): "grey",
    (_MINISBLACK, 1, ()): "grey",
    (_MINISBLACK, 2, (_PREMULTIPLIED,)): "grey+alpha premultiplied",
    (_MINISBLACK, 2, (_STRAIGHT,)): "grey+alpha",
    (_RGB, 3, ()): "RGB",
    (_RGB, 4, (_UNSPECIFIED,)): "RGB",  # says nothing about opacity (TIFF 6.0, page 31), so it is left out
    (_RGB, 4, (_PREMULTIPLIED,)): "RGBA premultiplied",
    (_RGB, 4, (_STRAIGHT,)): "RGBA",
    (_PALETTE, 1, ()): "palette",
    (_CMYK, 4, ()): "CMYK",
    (_YCBCR, 3, ()): "RGB",  # only inside JPEG, whose decoder gives RGB
}
_BIT_DEPTHS: Final[dict[Mode, tuple[int, ...]]] = {"grey": (1, 2, 4, 8, 16), "palette": (1, 2, 4, 8)}
_MAX_TILE_PX: Final = 4096 * 4096  # tiles have some hundred pixels a side; a larger one is an attack or a mistake
# ImageJ and tifffile can write a stack as one page, and say so only in the description.
_STACK: Final = re.compile(r"\AImageJ=.*^images=(?!1$)|\A\{.*\"truncated\": true", re.DOTALL | re.MULTILINE)
_CODE_STREAM: Final = b"\xff\x4f\xff\x51"  # how JPEG 2000 begins; its size follows
_END_OF_CODE_STREAM: Final = b"\xff\xd9"
# What tifffile takes from tags as it is; the tags of a broken file may hold texts or several numbers instead.
_NUMBERS: Final = (
    *("imagewidth", "imagelength", "imagedepth", "tilewidth", "tilelength", "tiledepth", "rowsperstrip", "predictor"),
    *("samplesperpixel", "sampleformat", "compression", "photometric", "planarconfig", "fillorder"),
)


def read_tiff(stream: io.BufferedIOBase) -> StoredImage:
    """Read the header of a stream that begins with one of ``tiff_directory.SIGNATURES``.

    Raises:
        DataError: the directory is damaged, or declares a kind of TIFF that is not read.
    """
    return _read_page(stream)[1]


def decode_tiff(content: bytes) -> Samples:
    """Return the pixels of a whole TIFF file.

    Raises:
        DataError: the file is truncated or damaged.
    """
    page, stored = _read_page(io.BytesIO(content))
    _require_every_segment(page, len(content))
    if page.compression in (_JPEG, *_JPEG_2000):
        _require_whole_streams(page, content)
    with explained_errors():
        samples = page.asarray(maxworkers=1)  # several images are decoded side by side already
    return _interpret(page, stored, samples.astype(samples.dtype.newbyteorder("="), copy=False))


def _read_page(stream: io.BufferedIOBase) -> tuple[tifffile.TiffPage, StoredImage]:
    """Open the only page, refuse what is not read, and return what its directory declares."""
    page, has_next = read_first_page(stream)
    if has_next:
        raise unsupported("a TIFF of more than one page; save the page that is meant as a file of its own")
    for name in _NUMBERS:
        if not isinstance(getattr(page, name), int):
            raise damaged(f"the {name} of the TIFF is {getattr(page, name)!r:.40}")
    for tag in (256, 257, 262, *_place_tags(page)):
        if tag not in page.tags:
            raise damaged(f"TIFF tag {tag} is missing")
    if page.imagedepth != 1 or page.tiledepth != 1 or page.is_stk or _STACK.match(page.description):
        raise unsupported("a TIFF that holds a stack; save the image that is meant as a file of its own")
    stored = _parse_stored(page)
    _require_readable(page, stored.mode)
    return page, stored


def _place_tags(page: tifffile.TiffPage) -> tuple[int, int]:
    """Return the tags of the places and sizes of strips or tiles; tifffile would guess them where they are absent."""
    return (324, 325) if page.is_tiled else (273, 279)


def _parse_stored(page: tifffile.TiffPage) -> StoredImage:
    mode = _parse_mode(page)
    bits = page.bitspersample
    if bits not in _BIT_DEPTHS.get(mode, (8, 16)):
        raise unsupported(f"a {mode} TIFF of {bits} bits a sample")
    if min(page.imagewidth, page.imagelength) <= 0:
        raise damaged(f"the TIFF directory declares {page.imagewidth} x {page.imagelength} px")
    return StoredImage(
        width_px=page.imagewidth,
        height_px=page.imagelength,
        mode="bilevel" if mode == "grey" and bits == 1 else mode,
        bit_depth=16 if bits == 16 else 8,
        format="TIFF",
        orientation=orientation_of(page),
    )


def _parse_mode(page: tifffile.TiffPage) -> Mode:
    if page.sampleformat != 1:
        kind = _SAMPLE_FORMATS.get(page.sampleformat, "undefined")
        raise unsupported(f"a TIFF of {kind} samples; export it with 8 or 16 bits, from 0 up")
    photometric, samples, extra = page.photometric, page.samplesperpixel, page.extrasamples
    mode = _MODES.get((photometric, samples, extra))
    if mode is None or (mode == "CMYK" and page.tags.valueof(332, default=1) != 1):  # InkSet
        raise unsupported(
            f"a TIFF of {samples} samples a pixel ({len(extra)} extra) with photometric interpretation {photometric:d}"
        )
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
    if page.photometric == _YCBCR and (compression != _JPEG or page.planarconfig != 1):
        raise unsupported("a TIFF of YCbCr samples that are not JPEG")
    is_plain = mode in ("grey", "RGB") and page.samplesperpixel in (1, 3)
    if compression in (_JPEG, *_JPEG_2000) and not (is_plain and bits >= 8):
        raise unsupported(f"a {mode} TIFF with JPEG compression of {bits} bits a sample")
    if compression == _JPEG and bits != 8:
        raise unsupported(f"a TIFF with JPEG compression of {bits} bits a sample")
    if page.is_tiled and page.tilewidth * page.tilelength > _MAX_TILE_PX:
        raise unsupported(f"a TIFF with tiles of {page.tilewidth} x {page.tilelength} px")
    if min(_segment_size_px(page)) <= 0:
        raise damaged("the strips or tiles of the TIFF have no size")


def _require_predictor(page: tifffile.TiffPage) -> None:
    """Refuse a predictor where TIFF has none: tifffile would use it there, libtiff ignores it."""
    compression, bits = page.compression, page.bitspersample
    if page.predictor == 1 or compression in (_JPEG, *_JPEG_2000):  # where both ignore it
        return
    has_predictor = compression in (_LZW, _ZSTD, *_DEFLATE) and bits >= 8
    if page.predictor != _HORIZONTAL_DIFFERENCES or not has_predictor:
        raise unsupported(f"a TIFF with predictor {page.predictor:d}, compression {compression:d} and {bits} bits")


def _segment_size_px(page: tifffile.TiffPage) -> tuple[int, int]:
    """Return width and height of a whole strip or tile."""
    return (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)


def _require_every_segment(page: tifffile.TiffPage, num_bytes: int) -> None:
    """Refuse strips or tiles that are absent or cut; tifffile fills them with zeros, or reads what follows."""
    with explained_errors():
        offsets, counts = (page.tags[tag].value for tag in _place_tags(page))
        num_segments = math.prod(page.chunked)
        if not num_segments == len(offsets) == len(counts):
            raise damaged(f"the TIFF lists {len(offsets)} of {num_segments} strips or tiles")
        if not all(isinstance(number, int) and number > 0 for number in (*offsets, *counts)):
            raise damaged("strips or tiles of the TIFF are missing")
        if max(map(operator.add, offsets, counts)) > num_bytes:
            raise damaged("the TIFF ends before its last strip or tile")
        if page.is_contiguous and sum(counts) < page.nbytes:
            raise damaged(f"the strips or tiles of the TIFF hold {sum(counts)} of {page.nbytes} bytes")


def _require_whole_streams(page: tifffile.TiffPage, content: bytes) -> None:
    """Refuse JPEG streams that are cut short, or that declare anything but a strip or tile of this page.

    tifffile would reshape a stream of another size until it fits, and reserve memory for any size that it declares.
    """
    width_px, height_px = _segment_size_px(page)
    num_samples = page.samplesperpixel if page.planarconfig == 1 else 1
    for index, (start, num_bytes) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        stream = content[start : start + num_bytes]
        declared = _declared_by_jpeg(page, stream) if page.compression == _JPEG else _declared_by_jpeg_2000(stream)
        if declared[0] != width_px or declared[1] > height_px or declared[2:] != (num_samples, page.bitspersample):
            raise damaged(f"a JPEG stream in the TIFF declares {declared} as width, height, samples and bits")
        if page.compression == _JPEG:
            jpeg.require_last_bits(stream, functools.partial(_decode_segment, page, index))


def _decode_segment(page: tifffile.TiffPage, index: int, stream: bytes) -> np.ndarray:
    with explained_errors():
        segment: np.ndarray = page.decode(stream, index, jpegtables=page.jpegtables)[0]
    return segment


def _declared_by_jpeg(page: tifffile.TiffPage, stream: bytes) -> tuple[int, int, int, int]:
    """Return width, height, samples and bits a sample."""
    frame = jpeg.read_frame(io.BytesIO(stream))
    if frame.has_jfif_marker and page.photometric == _RGB:
        raise unsupported("a TIFF that says its JPEG streams are RGB, while they say YCbCr")
    return frame.width_px, frame.height_px, frame.num_components, 8


def _declared_by_jpeg_2000(stream: bytes) -> tuple[int, int, int, int]:
    """Return width, height, samples and bits a sample (ITU-T T.800, A.5.1); OpenJPEG does not mind an absent end."""
    start = stream.find(_CODE_STREAM)
    if start < 0 or len(stream) < start + 43 or not stream.rstrip(b"\0").endswith(_END_OF_CODE_STREAM):
        raise damaged("a JPEG 2000 stream in the TIFF is cut short")
    right, bottom, left, top = struct.unpack_from(">4I", stream, start + 8)
    num_components, depth = struct.unpack_from(">HB", stream, start + 40)
    return right - left, bottom - top, num_components, depth + 1


def _interpret(page: tifffile.TiffPage, stored: StoredImage, samples: np.ndarray) -> Samples:
    """Turn stored numbers into grey levels or colours."""
    if samples.ndim == 3:
        together = samples if page.planarconfig == 1 else samples.transpose(1, 2, 0)
        # A fourth sample that is not said to be opacity is left out.
        return together[:, :, :3] if stored.mode == "RGB" else together
    levels = samples.astype(np.uint8) if samples.dtype == np.bool_ else samples
    if stored.mode == "palette":
        return look_up(levels, _colours(page))
    brightest = 2**page.bitspersample - 1
    if page.photometric == _MINISWHITE:
        levels = levels.dtype.type(brightest) - levels
    return levels if stored.bit_depth == 16 else levels * np.uint8(255 // brightest)


def _colours(page: tifffile.TiffPage) -> UInt8[np.ndarray, "colours 3"]:
    """Return the palette in 8 bits; some writers store 8-bit values where 16 are meant, as libtiff knows too."""
    wide = np.asarray(page.tags.valueof(320, default=()))
    if wide.dtype.kind not in "iu" or wide.size != 3 * 2**page.bitspersample:
        raise damaged(f"the palette of the TIFF has {wide.size} numbers")
    eight_bits: UInt8[np.ndarray, "3 colours"] = (wide if int(wide.max()) <= 255 else wide >> 8).astype(np.uint8)
    return eight_bits.reshape(3, -1).T
