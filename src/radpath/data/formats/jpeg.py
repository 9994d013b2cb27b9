"""JPEG (ITU-T T.81) with its JFIF, EXIF and Adobe markers: header and pixels.

libjpeg-turbo decodes. The markers before the first scan are read here, since a header scan needs them without decoding,
and Pillow would not tell a JPEG of 12 bits from a broken one. libjpeg-turbo fills what is missing from a file with grey
and goes on. Through simplejpeg it says so, and a file about which it says nothing is whole. It warns of harmless
oddities in the same way, and simplejpeg cannot read all kinds; such files are decoded twice, with imagecodecs, to find
out whether the picture's last bits were there.
"""

import dataclasses
import io
import re
import struct
from collections.abc import Callable, Iterator
from typing import Final, Literal

import imagecodecs
import numpy as np
import simplejpeg
from jaxtyping import UInt8

from radpath.data.formats.stored import Mode, Samples, StoredImage, damaged, read_exactly, unsupported
from radpath.data.formats.tiff_directory import exif_orientation

SIGNATURE: Final = b"\xff\xd8\xff"

Reduction = Literal[1, 2, 4, 8]

_FRAMES: Final = (0xC0, 0xC1, 0xC2, 0xC3)  # baseline, extended, progressive, lossless; all Huffman coded
_OTHER_FRAMES: Final = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetically coded"),
    0xF7: "JPEG-LS",
}
_START_OF_SCAN, _END = 0xDA, 0xD9
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
_ALONE: Final = (0x01, *range(0xD0, 0xD9))  # markers without a segment
_MODES: Final[dict[int, Mode]] = {1: "grey", 3: "RGB", 4: "CMYK"}
_COLOUR_SPACES: Final = {1: "GRAY", 3: "RGB", 4: "CMYK"}
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # inside a scan: neither a stuffed byte nor a restart
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame:
    """What the markers before the first scan say."""

    width_px: int
    height_px: int
    num_components: int
    has_jfif_marker: bool
    """JFIF says that three components are YCbCr."""
    has_adobe_marker: bool
    """Adobe's programs say how colours are coded, and store the inks of CMYK inverted."""
    orientation: int


def read_frame(stream: io.BufferedIOBase) -> Frame:
    """Read the markers of a stream up to its first scan.

    Raises:
        DataError: the header is cut short, or declares a kind of JPEG that is not read.
    """
    frame, has_jfif_marker, has_adobe_marker, orientation = None, False, False, None
    for marker, segment in _segments(stream):
        if marker in _FRAMES:
            frame = _parse_frame(segment)
        elif marker in _OTHER_FRAMES:
            raise unsupported(f"a JPEG that is {_OTHER_FRAMES[marker]}")
        elif marker == _APP0:
            has_jfif_marker |= segment.startswith(b"JFIF\0")
        elif marker == _APP14:
            has_adobe_marker |= segment.startswith(b"Adobe")
        elif marker == _APP1 and orientation is None and segment.startswith(b"Exif\0"):
            orientation = exif_orientation(segment)
    if frame is None:
        raise damaged("the JPEG has no frame header before its pixels")
    width_px, height_px, num_components = frame
    return Frame(
        width_px=width_px,
        height_px=height_px,
        num_components=num_components,
        has_jfif_marker=has_jfif_marker,
        has_adobe_marker=has_adobe_marker,
        orientation=orientation or 1,
    )


def read_jpeg(stream: io.BufferedIOBase) -> StoredImage:
    """Read the header of a stream that begins with ``SIGNATURE``.

    Raises:
        DataError: the header is cut short, or declares a kind of JPEG that is not read.
    """
    frame = read_frame(stream)
    if frame.num_components == 4 and not frame.has_adobe_marker:
        raise unsupported("a CMYK JPEG without an Adobe marker, so that nothing says whether its inks are inverted")
    return StoredImage(
        width_px=frame.width_px,
        height_px=frame.height_px,
        mode=_MODES[frame.num_components],
        bit_depth=8,
        format="JPEG",
        orientation=frame.orientation,
    )


def decode_jpeg(content: bytes, *, reduction: Reduction = 1) -> Samples:
    """Return the pixels of a whole JPEG file: grey, RGB, or CMYK with 0 for no ink.

    Args:
        content: the file.
        reduction: 2, 4 or 8 for a picture of a half, a quarter or an eighth of the height and width, made from the low
            frequencies of each block. Where that is not possible, because a side is no multiple of it or the file is
            of a rare kind, the whole picture is returned. libjpeg-turbo computes it with integers, the same on every
            machine.

    Raises:
        DataError: the file is truncated or damaged.
    """
    frame = read_frame(io.BytesIO(content))
    samples = decode_strictly(content, frame.num_components, reduced_px=_reduced_px(frame, reduction))
    if samples is None:
        samples = require_last_bits(content, imagecodecs.jpeg8_decode)
    # Adobe stores inks inverted (255 for none), as its marker announces; read_jpeg refuses four inks without it.
    return 255 - samples if frame.num_components == 4 else samples


def decode_strictly(
    content: bytes, num_components: int, *, reduced_px: tuple[int, int] | None = None
) -> UInt8[np.ndarray, "_height _width"] | UInt8[np.ndarray, "_height _width _samples"] | None:
    """Return the pixels of a stream about which libjpeg-turbo has nothing to remark; None for any other.

    Args:
        content: from the start marker to the end marker, or further.
        num_components: 1 for grey, 3 for RGB or YCbCr (which become RGB), 4 for CMYK or YCCK (which become CMYK).
        reduced_px: width and height to decode to, each the same divisor (2, 4 or 8) of the picture's.
    """
    width_px, height_px = reduced_px or (0, 0)
    try:
        samples: np.ndarray = simplejpeg.decode_jpeg(
            content, _COLOUR_SPACES[num_components], strict=True, min_width=width_px, min_height=height_px
        )
    except (ValueError, RuntimeError):
        return None
    return samples[:, :, 0] if num_components == 1 else samples


def with_tables(stream: bytes, tables: bytes | None, *, colours: Literal["RGB", "YCbCr"]) -> bytes:
    """Return an abbreviated stream (T.81, B.5) with the tables that it lacks, and Adobe's word on what it holds.

    Args:
        stream: without a marker that says what its three components are.
        tables: a stream of tables alone, from start to end marker; None where ``stream`` has its own.
        colours: what three components are; one has no colours.
    """
    transform = b"\0" if colours == "RGB" else b"\1"
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + transform
    return stream[:2] + adobe + (tables or b"")[2:-2] + stream[2:]


def _reduced_px(frame: Frame, reduction: Reduction) -> tuple[int, int] | None:
    if reduction == 1 or frame.width_px % reduction or frame.height_px % reduction:
        return None
    return frame.width_px // reduction, frame.height_px // reduction


def require_last_bits(content: bytes, decode: Callable[[bytes], np.ndarray]) -> np.ndarray:
    """Return what ``decode`` makes of a JPEG stream, from the start marker on; what follows its end marker is ignored.

    Bits behind the end of a whole picture change nothing. Where bits are missing, the decoder takes the wrong ones for
    them, and its two results differ.

    Raises:
        DataError: the stream is truncated or damaged.
    """
    last_scan, end = _find_last_scan(content)
    streams = content[: end + 2], content[:end] + _wrong_bits(content[last_scan:end]) + content[end : end + 2]
    try:
        samples, prolonged = map(decode, streams)
    except (RuntimeError, ValueError) as error:  # imagecodecs' errors are RuntimeErrors
        raise damaged(f"the pixels of the JPEG cannot be decoded ({error})") from None
    if not np.array_equal(samples, prolonged):
        raise damaged("the JPEG ends before its last pixels")
    return samples


def _segments(stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment before the first scan."""
    stream.seek(2)
    while True:
        fill, marker = read_exactly(stream, 2)
        while marker == 0xFF:  # any number of these may fill the space before a marker
            marker = read_exactly(stream, 1)[0]
        if fill == 0xFF and marker in (_START_OF_SCAN, _END):
            return
        if fill == 0xFF and marker in _ALONE:
            continue
        num_bytes = int.from_bytes(read_exactly(stream, 2), "big") - 2  # the length counts itself
        if fill != 0xFF or num_bytes < 0:
            raise damaged("the header of the JPEG is broken")
        yield marker, read_exactly(stream, num_bytes)


def _parse_frame(segment: bytes) -> tuple[int, int, int]:
    """Return width, height and number of components."""
    if len(segment) < 6:
        raise damaged("the frame header of the JPEG is cut short")
    precision, height_px, width_px, num_components = struct.unpack(">BHHB", segment[:6])
    if precision != 8:
        raise unsupported(f"a JPEG of {precision} bits a sample; export it as PNG or TIFF of 16 bits")
    if num_components not in _MODES:
        raise unsupported(f"a JPEG of {num_components} components")
    if not width_px or not height_px:
        raise unsupported("a JPEG whose header does not state its size")
    return width_px, height_px, num_components


def _find_last_scan(content: bytes) -> tuple[int, int]:
    """Return where the last scan begins, and where the end marker stands that closes it."""
    at = 2
    while match := _NEXT_MARKER.search(content, at):
        if match[0][1] == _END:
            return at, match.start()
        # Tables and further scans; their length counts itself, and what they hold may look like a marker.
        at = match.end() + int.from_bytes(content[match.end() : match.end() + 2], "big")
    raise damaged("the JPEG has no end marker")


def _wrong_bits(scan: bytes) -> bytes:
    """Return what a decoder takes for a picture's missing part, and skips where none is missing.

    A decoder whose restart interval is over looks for the next restart marker (they are numbered 0 to 7, over and over)
    before it reads on, so all of them follow, beginning with the one that would be due.
    """
    # No 0xFF, and unlike the zeros that a decoder makes up; longer than any code and its look-ahead.
    bits = bytes((index * 73 + 0xB5) % 255 for index in range(256))
    due = len(_RESTART.findall(scan))
    return bits + b"".join(bytes([0xFF, 0xD0 + (due + number) % 8]) + bits for number in range(8))
