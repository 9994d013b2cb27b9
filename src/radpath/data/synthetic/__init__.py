"""Draws small images of tissue with known truth, for tests, documentation and the demo.

In: a seed and a few numbers. Out: images of four kinds of tissue that differ in texture and in the shape of glands, not
in colour or size; as a folder with a table of labels and, if wanted, planted faults.
"""

from radpath.data.synthetic.drawing import STAINS, Stain, Tint, draw_tissue
from radpath.data.synthetic.faults import FaultKind, PlantedFault
from radpath.data.synthetic.planning import NAME_PATTERN, SizeRange, draw_sizes
from radpath.data.synthetic.study import SyntheticStudy, write_synthetic
from radpath.data.synthetic.tissue import KINDS, Kind

__all__ = [
    "KINDS",
    "NAME_PATTERN",
    "STAINS",
    "FaultKind",
    "Kind",
    "PlantedFault",
    "SizeRange",
    "Stain",
    "SyntheticStudy",
    "Tint",
    "draw_sizes",
    "draw_tissue",
    "write_synthetic",
]
