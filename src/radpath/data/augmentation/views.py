"""The flips and quarter turns of an image: exact, on stored pixels, before anything is resampled.

In: an image or a mask and the number of a view. Out: the same samples in other places. Which view is drawn is decided
in ``draws``.
"""

from typing import Final

import numpy as np
from jaxtyping import Shaped

from radpath.data.augmentation.settings import Flips

NUM_VIEWS: Final[dict[Flips, int]] = {"none": 1, "horizontal": 2, "dihedral": 8}
"""How many different images the flips of each kind make of one."""


def view_of(
    image: Shaped[np.ndarray, "height width *channels"], view: int
) -> Shaped[np.ndarray, "view_height view_width *channels"]:
    """Return a view: the last bit mirrors left and right, the bits before it count quarter turns, which swap sides.

    >>> view_of(np.array([[1, 2, 3]]), 1).tolist(), view_of(np.array([[1, 2, 3]]), 2).tolist()
    ([[3, 2, 1]], [[3], [2], [1]])
    """
    turned = np.rot90(image, view // 2)
    return turned[:, ::-1] if view % 2 else turned
