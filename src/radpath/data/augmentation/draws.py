"""What is drawn for each image: numbers that depend on the seed, the epoch and the image, and on nothing else.

In: settings and positions of images. Out: ``Changes``, small arrays with one entry an image, which the other modules
turn into pixels on any device. Drawing is one vectorised hash of (seed, epoch, position, purpose), so that neither the
other images of a batch nor the order of the work matters, and a batch costs a fraction of a millisecond.
"""

import dataclasses
import itertools
from typing import Final

import numpy as np
from jaxtyping import Float, Int, UInt64

from radpath.data.augmentation.settings import RANGES, AugmentationSettings, Operation
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.seeding import derived_seed

# Each image has its own stretch of one sequence; what is not used of it leaves room for further operations.
_STRETCH: Final = 64
_VIEW_COLUMN: Final = 0
_NUM_VALUES: Final[dict[Operation, int]] = {
    "rotation": 1,
    "scale": 1,
    "shift": 2,
    "shear": 1,
    "crop": 3,
    "stain": 6,
    "brightness": 1,
    "contrast": 1,
    "saturation": 1,
    "hue": 1,
    "blur": 1,
    "noise": 2,
    "occlusion": 4,
}
# The place of each operation's first number, which decides whether it is made; its values follow.
_FIRST_COLUMN: Final = dict(
    zip(_NUM_VALUES, itertools.accumulate((count + 1 for count in _NUM_VALUES.values()), initial=1), strict=False)
)
_MOST_OBLONG: Final = 2.0  # how much longer than its share an occluding rectangle may be, in either direction

Values = Float[np.ndarray, " batch"]
Pairs = Float[np.ndarray, "batch 2"]
Triples = Float[np.ndarray, "batch 3"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Changes:
    """What happens to each image of a batch; 0, or 1 for a factor, where nothing does."""

    operations: frozenset[Operation]
    """The operations that the settings allow; no other is made, whatever the numbers say."""
    views: Int[np.ndarray, " batch"]
    """Which of the flipped views is taken, before everything else."""
    angles_deg: Values
    magnifications: Values
    shifts: Pairs
    """Right and down, as shares of the sides: where the centre of the result is read, relative to that of the image."""
    shears_deg: Values
    crop_sides: Values
    """The side of the part that is cut out, as a share of the image's side, in (0, 1]."""
    crop_places: Pairs
    """Right and down, from -1 (the part touches the left or upper border) to 1."""
    stain_factors: Triples
    """For haematoxylin, eosin and the rest."""
    stain_offsets: Triples
    """In units of optical density."""
    brightness: Values
    """What is added, as a share of the full range."""
    contrast: Values
    """The factor about the image's mean."""
    saturation: Values
    """The factor about grey."""
    hues_deg: Values
    blur: Values
    """Standard deviation as a share of the longer side."""
    noise: Values
    """Standard deviation as a share of the full range."""
    noise_seeds: Int[np.ndarray, " batch"]
    occlusion: Values
    """The share of the area that is hidden."""
    occlusion_shapes: Values
    """How much longer the rectangle is downwards than the image, and how much shorter sideways, as a factor."""
    occlusion_places: Pairs
    """Right and down, from 0 (the rectangle touches the left or upper border) to 1."""


def draw_changes(
    positions: Int[np.ndarray, " batch"], settings: AugmentationSettings, *, seed: int, epoch: int
) -> Changes:
    """Draw the changes of the images at ``positions`` of the training side in one epoch."""
    numbers = uniforms(positions, seed=seed, epoch=epoch)
    ranged = {operation: _ranged(numbers, operation, settings) for operation in RANGES}
    signed = {operation: values * 2 - strength for operation, (values, strength) in ranged.items()}
    crop, noise, hidden = (ranged[operation][0] for operation in ("crop", "noise", "occlusion"))
    places = {operation: _values(numbers, operation)[:, -2:] for operation in ("crop", "occlusion")}
    return Changes(
        operations=frozenset(settings.operations),
        views=_views(numbers, settings),
        angles_deg=signed["rotation"][:, 0],
        magnifications=1 + signed["scale"][:, 0],
        shifts=signed["shift"],
        shears_deg=signed["shear"][:, 0],
        crop_sides=np.sqrt(1 - crop[:, 0]),
        crop_places=places["crop"] * 2 - 1,
        stain_factors=1 + signed["stain"][:, :3],
        stain_offsets=signed["stain"][:, 3:],
        brightness=signed["brightness"][:, 0],
        contrast=1 + signed["contrast"][:, 0],
        saturation=1 + signed["saturation"][:, 0],
        hues_deg=signed["hue"][:, 0],
        blur=ranged["blur"][0][:, 0],
        noise=noise[:, 0],
        noise_seeds=(_values(numbers, "noise")[:, 1] * 2.0**53).astype(np.int64),
        occlusion=hidden[:, 0],
        occlusion_shapes=_MOST_OBLONG ** (_values(numbers, "occlusion")[:, 1] * 2 - 1),
        occlusion_places=places["occlusion"],
    )


def draw_views(
    positions: Int[np.ndarray, " batch"], settings: AugmentationSettings, *, seed: int, epoch: int
) -> Int[np.ndarray, " batch"]:
    """Return which view ``draw_changes`` draws for each image, without drawing the rest."""
    return _views(uniforms(positions, seed=seed, epoch=epoch), settings)


def _views(numbers: Float[np.ndarray, "batch columns"], settings: AugmentationSettings) -> Int[np.ndarray, " batch"]:
    return (numbers[:, _VIEW_COLUMN] * NUM_VIEWS[settings.flips]).astype(np.int64)


def _ranged(
    numbers: Float[np.ndarray, "batch columns"], operation: Operation, settings: AugmentationSettings
) -> tuple[Float[np.ndarray, "batch values"], Float[np.ndarray, "batch 1"]]:
    """Return an operation's values in 0..range, and that range, which is 0 for images that it leaves alone."""
    first = _FIRST_COLUMN[operation]
    is_made = numbers[:, first : first + 1] < getattr(settings.chance, operation)
    strength = is_made * settings.range_of(operation)
    return _values(numbers, operation) * strength, strength


def _values(numbers: Float[np.ndarray, "batch columns"], operation: Operation) -> Float[np.ndarray, "batch values"]:
    start = _FIRST_COLUMN[operation] + 1
    return numbers[:, start : start + _NUM_VALUES[operation]]


def uniforms(positions: Int[np.ndarray, " batch"], *, seed: int, epoch: int) -> Float[np.ndarray, "batch 64"]:
    """Return numbers in [0, 1), one row an image: its own stretch of the epoch's sequence."""
    first = positions.astype(np.uint64)[:, None] * np.uint64(_STRETCH)
    drawn = split_mix(derived_seed(seed, "augment", epoch), first + np.arange(_STRETCH, dtype=np.uint64))
    return (drawn >> np.uint64(11)) * 2.0**-53


def split_mix(seed: int, places: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """Return the numbers at ``places`` of the SplitMix64 sequence of a seed, whichever they are, at the same cost.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16, with the mixing
    constants of their variant 13.

    >>> split_mix(1234567, np.arange(2, dtype=np.uint64)).tolist()
    [6457827717110365317, 3203168211198807973]
    """
    mixed = (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
