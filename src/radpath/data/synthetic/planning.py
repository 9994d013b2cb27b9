"""Decides which images a made study has: cases, sizes, stains and tints, each drawn independently of the class.

In: numbers and a seed. Out: ``PlannedImage`` objects that can draw themselves in any order. Faults are left to
``faults``, files to ``study``.
"""

import dataclasses
from typing import Final

import numpy as np
from jaxtyping import Int64, UInt8

from radpath.data.synthetic.drawing import STAINS, Stain, Tint, draw_tissue
from radpath.data.synthetic.exact import bell_shaped, shuffled, uniform, whole_number
from radpath.data.synthetic.tissue import KINDS, Kind
from radpath.errors import SettingsError
from radpath.seeding import generator_for

NAME_PATTERN: Final = r"(?P<case>case_\d+)_(?P<stain>[a-z0-9]+)_\d+\.png"
"""Regular expression that matches every image's file name; its groups give the case and the stain."""

# The patches of the conjunctival melanocytic study that this imitates: 5 % below 72 px, half below 191, 95 % below 560.
_SPREAD_BELOW: Final = 0.593  # ln(191 / 72) / 1.645, in the logarithm of the side
_SPREAD_ABOVE: Final = 0.654  # ln(560 / 191) / 1.645
_MAIN_STAIN_SHARE: Final = 0.6
_CASE_DRIFT: Final = 0.12
_IMAGE_DRIFT: Final = 0.05
_LARGEST_DRIFT: Final = 0.45


@dataclasses.dataclass(frozen=True, kw_only=True)
class SizeRange:
    """Sides of images: many small ones and a long tail of large ones, as in a real study of patches."""

    smallest_px: int = 30
    median_px: int = 112
    largest_px: int = 320

    def __post_init__(self) -> None:
        """Check that the three sizes are in order.

        Raises:
            SettingsError: they are not.
        """
        if not 1 <= self.smallest_px <= self.median_px <= self.largest_px:
            raise SettingsError(
                f"sizes from {self.smallest_px} over {self.median_px} (median) to {self.largest_px} px "
                "are not in order; they must rise, from at least 1"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """One image that can be drawn at any time, always the same."""

    case: str
    kind: Kind
    stain: Stain
    number: int
    height_px: int
    width_px: int
    tint: Tint
    drift: float
    seed: int

    @property
    def name(self) -> str:
        """The file name, which ``NAME_PATTERN`` matches."""
        return f"{self.case}_{self.stain}_{self.number:04d}.png"

    def draw(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return the pixels."""
        return draw_tissue(
            self.kind,
            height_px=self.height_px,
            width_px=self.width_px,
            stain=self.stain,
            rng=generator_for(self.seed, "pixels", self.case, self.number),
            tint=self.tint,
            drift=self.drift,
        )


def draw_sizes(count: int, *, sizes: SizeRange, rng: np.random.Generator) -> Int64[np.ndarray, "count 2"]:
    """Return (height, width) in pixels of about square images.

    The logarithm of the side is normal, a little wider above the median than below, and cut at both ends.

    >>> draw_sizes(2, sizes=SizeRange(smallest_px=20, median_px=20, largest_px=20), rng=np.random.default_rng(1))
    array([[20, 20],
           [20, 20]])
    """
    deviation = bell_shaped(rng, count)
    side_px = sizes.median_px * np.exp(deviation * np.where(deviation < 0, _SPREAD_BELOW, _SPREAD_ABOVE))
    sides_px = side_px[:, None] * (0.92 + 0.16 * rng.random((count, 2)))
    # Rounding to whole pixels hides the last digit of the exponential, which differs between machines.
    whole_px: Int64[np.ndarray, "count 2"] = np.clip(np.rint(sides_px), sizes.smallest_px, sizes.largest_px).astype(
        np.int64
    )
    return whole_px


def plan_cases(cases_per_class: int, *, seed: int) -> list[tuple[str, Kind]]:
    """Return (case, kind) sorted by case; the order of the cases' numbers says nothing of their kind."""
    kinds = [kind for kind in KINDS for _ in range(cases_per_class)]
    order = shuffled(generator_for(seed, "cases"), len(kinds))
    return [(case_name(number), kinds[place]) for number, place in enumerate(order, start=1)]


def case_name(number: int) -> str:
    """Return the name of a case.

    >>> case_name(12)
    'case_012'
    """
    return f"case_{number:03d}"


def plan_case(
    case: str, kind: Kind, *, images_per_case: tuple[int, int], sizes: SizeRange, seed: int
) -> list[PlannedImage]:
    """Return the images of one case, which share the tint of their laboratory.

    How hard a case is also belongs to the case: its images drift towards the same neighbouring kind of tissue.
    """
    rng = generator_for(seed, "case", case)
    tint = Tint.drawn(rng)
    count = whole_number(rng, *images_per_case)
    case_drift = _CASE_DRIFT * bell_shaped(rng, 1)
    drifts = np.clip(case_drift + _IMAGE_DRIFT * bell_shaped(rng, count), -_LARGEST_DRIFT, _LARGEST_DRIFT)
    sides_px = draw_sizes(count, sizes=sizes, rng=rng)
    return [
        PlannedImage(
            case=case,
            kind=kind,
            stain=_drawn_stain(rng),
            number=number,
            height_px=int(height_px),
            width_px=int(width_px),
            tint=tint,
            drift=float(drift),
            seed=seed,
        )
        for number, ((height_px, width_px), drift) in enumerate(zip(sides_px, drifts, strict=True), start=1)
    ]


def _drawn_stain(rng: np.random.Generator) -> Stain:
    if uniform(rng, 0.0, 1.0) < _MAIN_STAIN_SHARE:
        return STAINS[0]
    return STAINS[whole_number(rng, 1, len(STAINS) - 1)]
