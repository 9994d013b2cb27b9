"""Where patches lie on a slide: pure arithmetic, in pixels of the full slide.

In: sizes. Out: places that leave nothing out, in order; and the name of a patch, from which alone it can be read again.
"""

import dataclasses
import math
import re
from typing import Final, final

import numpy as np
from jaxtyping import Int

from radpath.errors import DataError

_MEMBER: Final = re.compile(r"patch\[y=(\d+),x=(\d+),side=(\d+),px=(\d+)\]")


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Patch:
    """A square of a slide, and how large it is shown."""

    left_px: int
    """In pixels of the full slide, as ``top_px`` and ``side_px``."""
    top_px: int
    side_px: int
    patch_px: int
    """Side of the patch as it is read."""

    @property
    def member(self) -> str:
        """The patch's name inside its slide; names sort as patches do, by row and then by column.

        >>> Patch(left_px=1024, top_px=2048, side_px=448, patch_px=224).member
        'patch[y=0002048,x=0001024,side=448,px=224]'
        """
        return f"patch[y={self.top_px:07},x={self.left_px:07},side={self.side_px},px={self.patch_px}]"

    @classmethod
    def from_member(cls, member: str) -> "Patch":
        """Return the patch of a name that ``member`` gave.

        Raises:
            DataError: the name is none of those.
        """
        match = _MEMBER.fullmatch(member)
        if match is None:
            raise DataError(f"unknown member: '{member}' is no patch of a slide; scan the images again")
        top, left, side, patch = map(int, match.groups())
        return cls(left_px=left, top_px=top, side_px=side, patch_px=patch)


def is_patch(member: str) -> bool:
    """Return whether a record's member names a patch of a slide.

    >>> is_patch("patch[y=0000000,x=0000000,side=224,px=224]"), is_patch("frame[3]"), is_patch("")
    (True, False, False)
    """
    return member.startswith("patch[")


def starts(length_px: int, *, side_px: int, stride_px: int) -> Int[np.ndarray, " patches"]:
    """Return where patches along one axis begin, so that they cover it from end to end.

    The last patch ends with the slide: it is moved inwards rather than padded. A slide shorter than a patch has one,
    which begins with it.

    >>> starts(1000, side_px=300, stride_px=300).tolist()
    [0, 300, 600, 700]
    >>> starts(200, side_px=300, stride_px=300).tolist()
    [0]
    """
    last = max(0, length_px - side_px)
    count = math.ceil(last / stride_px) + 1
    return np.minimum(np.arange(count, dtype=np.int64) * stride_px, last)
