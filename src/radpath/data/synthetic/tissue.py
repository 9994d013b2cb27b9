"""What the four kinds of tissue look like, as numbers: the only place where the classes differ.

Out: an ``Architecture`` for a kind, or for something between two neighbouring kinds, as a pathologist meets it. Lengths
are pixels and do not depend on the size of the image. How the numbers become a picture is left to ``drawing``.
"""

import dataclasses
from typing import Final, Literal, get_args

Kind = Literal["normal", "benign", "in_situ", "invasive"]
"""The four kinds of tissue, which are the classes."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape and order of glands, nuclei and stroma."""

    gland_spacing_px: float
    gland_share: float
    """Share of the places for a gland that hold one."""
    smallest_radius_px: float
    largest_radius_px: float
    elongation: float
    """How much longer than wide a gland may be; 0 is round."""
    border_waves_px: float
    """How far the border of a gland wanders from its ellipse."""
    epithelium_px: float
    """Thickness of the rim of cells around the lumen."""
    lumen_waves_px: float
    """How uneven the border of the lumen is."""
    filled_share: float
    """Share of the glands whose lumen is filled with cells."""
    nucleus_rows: float
    """Rows of nuclei in the rim; a fraction is the share of glands with one row more."""
    nucleus_radius_px: float
    nucleus_variety: float
    """Relative spread of the radius of nuclei."""
    nucleus_disorder_px: float
    """How far nuclei stray from their row."""
    invading_share: float
    """Roughly the share of the stroma that cords of tumour cells take."""
    scattered_share: float
    """Share of the places for a single tumour cell in the stroma that hold one."""
    fibre_disorder: float
    """0: the fibres of the stroma run in parallel; 1: in swirls."""

    def towards(self, other: "Architecture", share: float) -> "Architecture":
        """Return what lies between this (share 0) and ``other`` (share 1)."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return Architecture(**{name: (1 - share) * mine[name] + share * theirs[name] for name in mine})


ARCHITECTURES: Final[dict[Kind, Architecture]] = {
    "normal": Architecture(  # regular round glands, one even row of small nuclei, ordered stroma
        gland_spacing_px=46.0,
        gland_share=0.92,
        smallest_radius_px=17.0,
        largest_radius_px=21.0,
        elongation=0.1,
        border_waves_px=1.5,
        epithelium_px=11.0,
        lumen_waves_px=0.5,
        filled_share=0.0,
        nucleus_rows=1.0,
        nucleus_radius_px=2.6,
        nucleus_variety=0.08,
        nucleus_disorder_px=0.4,
        invading_share=0.0,
        scattered_share=0.0,
        fibre_disorder=0.0,
    ),
    "benign": Architecture(  # more glands of every size and shape, still bounded, two rows of nuclei
        gland_spacing_px=42.0,
        gland_share=0.95,
        smallest_radius_px=11.0,
        largest_radius_px=24.0,
        elongation=0.6,
        border_waves_px=6.0,
        epithelium_px=11.5,
        lumen_waves_px=2.5,
        filled_share=0.1,
        nucleus_rows=2.0,
        nucleus_radius_px=2.4,
        nucleus_variety=0.15,
        nucleus_disorder_px=0.9,
        invading_share=0.0,
        scattered_share=0.0,
        fibre_disorder=0.3,
    ),
    "in_situ": Architecture(  # glands full of crowded larger nuclei, with a round border
        gland_spacing_px=54.0,
        gland_share=0.9,
        smallest_radius_px=20.0,
        largest_radius_px=27.0,
        elongation=0.2,
        border_waves_px=2.0,
        epithelium_px=16.0,
        lumen_waves_px=2.0,
        filled_share=0.9,
        nucleus_rows=3.0,
        nucleus_radius_px=3.0,
        nucleus_variety=0.2,
        nucleus_disorder_px=1.4,
        invading_share=0.0,
        scattered_share=0.0,
        fibre_disorder=0.3,
    ),
    "invasive": Architecture(  # hardly a gland: cords and single cells of every size in disrupted stroma
        gland_spacing_px=50.0,
        gland_share=0.04,
        smallest_radius_px=10.0,
        largest_radius_px=20.0,
        elongation=0.7,
        border_waves_px=7.0,
        epithelium_px=14.0,
        lumen_waves_px=3.0,
        filled_share=0.6,
        nucleus_rows=2.0,
        nucleus_radius_px=3.1,
        nucleus_variety=0.35,
        nucleus_disorder_px=2.2,
        invading_share=0.27,
        scattered_share=0.06,
        fibre_disorder=1.0,
    ),
}
"""One entry a class. Neighbours in this order resemble each other most."""


def architecture_of(kind: Kind, *, drift: float = 0.0) -> Architecture:
    """Return the architecture of a kind, or one that drifts towards a neighbouring kind.

    Args:
        kind: the tissue.
        drift: in [-1, 1]; negative drifts towards the kind before, positive towards the kind after. At the two ends
            of the order, where one neighbour is missing, the sign does not matter.

    >>> architecture_of("benign").nucleus_rows
    2.0
    >>> architecture_of("benign", drift=0.5).nucleus_rows
    2.5
    """
    place = KINDS.index(kind)
    neighbour = place + (1 if drift >= 0 else -1)
    if not 0 <= neighbour < len(KINDS):
        neighbour = 2 * place - neighbour
    return ARCHITECTURES[kind].towards(ARCHITECTURES[KINDS[neighbour]], abs(drift))
