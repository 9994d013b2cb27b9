"""Makes an installed torchvision importable where its compiled part cannot load; elsewhere it does nothing.

A torchvision that was built for CUDA beside a CPU build of PyTorch fails at import, and takes timm with it, because
the schemas of its operators are never registered. radpath uses none of these operators; declaring the missing
schemas is enough for the Python parts that timm needs. Must run before anything imports torchvision.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

# The operators whose schemas torchvision's own Python code refers to at import.
_REFERRED_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_libraries: list[torch.library.Library] = []  # a schema lives as long as the library object that declared it


@cache
def ensure_importable() -> bool:
    """Load torchvision's compiled part, or declare what its Python part misses; return False without torchvision."""
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        return False
    try:
        for library in sorted(Path(found.origin).parent.glob("_C*.so")):
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call] # PyTorch's, untyped
    except OSError:
        declared = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call] # as above
        for name in _REFERRED_OPERATORS:
            if not hasattr(torch.ops.torchvision, name):
                declared.define(f"{name}{_SCHEMA}")  # type: ignore[no-untyped-call] # as above
        _libraries.append(declared)
    return True
