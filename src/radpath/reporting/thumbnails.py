"""A decoded image becomes a small picture that a page can carry inside itself.

In: eight-bit pixels as ``data`` decodes them. Out: PNG or JPEG bytes, and the address that embeds them. Which images
are shown, and how 16 bits become 8, is left to the caller.
"""

import base64
import io
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

_LOSSLESS_UP_TO_PX: Final = 64  # below it a JPEG's own headers and blocks cost more than they save
_JPEG_QUALITY: Final = 82
_PNG_START: Final = b"\x89PNG"


def thumbnail(image: UInt8[np.ndarray, "height width *channels"], *, max_side_px: int = 112) -> bytes:
    """Return ``image`` as a small PNG or JPEG that keeps its aspect ratio; it is never enlarged.

    Args:
        image: ``(height, width)`` grey or ``(height, width, 3)`` red, green, blue; 0 to 255. Grey stays grey.
        max_side_px: the longer side of the result, at most.

    >>> Image.open(io.BytesIO(thumbnail(np.zeros((300, 150), np.uint8)))).size
    (56, 112)
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    height_px, width_px = image.shape[:2]
    scale = min(1.0, max_side_px / max(height_px, width_px))
    if scale < 1:
        size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    written = io.BytesIO()
    if max(picture.size) <= _LOSSLESS_UP_TO_PX:
        picture.save(written, format="PNG", optimize=True)
    else:
        picture.save(written, format="JPEG", quality=_JPEG_QUALITY, optimize=True)
    return written.getvalue()


def data_uri(picture: bytes) -> str:
    """Return the address that holds the picture itself, for an ``<img>`` without a file.

    >>> data_uri(thumbnail(np.zeros((2, 2), np.uint8))).partition(",")[0]
    'data:image/png;base64'
    """
    kind = "png" if is_lossless(picture) else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def is_lossless(picture: bytes) -> bool:
    """Return whether the picture is a PNG, which ``thumbnail`` writes for tiny images only."""
    return picture.startswith(_PNG_START)
