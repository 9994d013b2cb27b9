"""A network's named stages, which mean the same for every backbone: stem, stage1, stage2, ...

In: a timm network, which tells at which of its layers the resolution changes. Out: which modules belong to which
stage. What a stage may learn is decided in ``models.freezing``; ``models.cut`` runs the stages apart.

The stem takes an image to half its sides (and is a transformer's patch embedding); each stage after it ends where timm
says that a resolution ends, so that ``stage1`` works at a quarter, ``stage4`` at a thirty-second of the image. A
transformer that keeps one resolution is divided into four nearly equal groups of blocks. What follows the last stage,
for example a last convolution or norm, belongs to it.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from torch import nn

STEM: Final = "stem"
_STEM_REDUCTION: Final = 2
_GROUPS_OF_BLOCKS: Final = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Neighbouring modules of a network that are frozen together."""

    name: str
    """stem, stage1, stage2, ..."""
    modules: tuple[str, ...]
    """Their names in the network, in the order of its definition; none contains another."""
    num_parameters: int
    """The stem's include those that stand in no module, for example a transformer's positions."""


def stages_of(network: nn.Module) -> tuple[Stage, ...]:
    """Return the stages of a network, from the image to the features.

    A network without timm's ``feature_info`` (a list of ``module`` and ``reduction``) is one stem.

    >>> first, second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3)
    >>> network = nn.Sequential(first, second, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> network.feature_info = [{"module": "0", "reduction": 2}, {"module": "1", "reduction": 4}]
    >>> [(stage.name, stage.modules, stage.num_parameters) for stage in stages_of(network)]
    [('stem', ('0',), 224), ('stage1', ('1', '2', '3'), 1168)]
    """
    marks = _marks(network)
    pieces = list(_pieces(network, "", [name for name, _ in marks]))
    groups = list(_divide(pieces, _ends(pieces, marks)))
    sizes = [sum(_num_parameters(network.get_submodule(name)) for name in group) for group in groups]
    sizes[0] += _num_parameters(network) - sum(sizes)
    return tuple(
        Stage(name=f"stage{place}" if place else STEM, modules=tuple(group), num_parameters=size)
        for place, (group, size) in enumerate(zip(groups, sizes, strict=True))
    )


def place_of(name: str, stages: Sequence[Stage]) -> int:
    """Return the place among ``stages`` of a parameter, a buffer or a module, by its name in the network.

    What stands in no stage's modules belongs to the stem, which is place 0.
    """
    for place, stage in enumerate(stages):
        if any(name == module or name.startswith(f"{module}.") for module in stage.modules):
            return place
    return 0


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _marks(network: nn.Module) -> list[tuple[str, int]]:
    """Return the modules behind which timm takes a network's feature maps, with the reduction of the sides there."""
    info: Any = getattr(network, "feature_info", None) or []
    entries = getattr(info, "info", info)
    known = {name for name, _ in network.named_modules()}
    return [(entry["module"], int(entry["reduction"])) for entry in entries if entry["module"] in known]


def _pieces(module: nn.Module, prefix: str, marked: Sequence[str]) -> Iterator[str]:
    """Yield the names of the smallest modules that a division into stages needs."""
    for name, child in module.named_children():
        full = f"{prefix}{name}"
        # Only what runs its children one after the other can be divided between them.
        divisible = isinstance(child, nn.Sequential | nn.ModuleList)
        if divisible and any(mark.startswith(f"{full}.") for mark in marked):
            yield from _pieces(child, f"{full}.", marked)
        else:
            yield full


def _ends(pieces: Sequence[str], marks: Sequence[tuple[str, int]]) -> list[int]:
    """Return, for each stage, the place behind its last piece."""
    if not marks:
        return [len(pieces)]
    behind = [(_piece_of(name, pieces) + 1, reduction) for name, reduction in marks]
    reductions = {reduction for _, reduction in behind}
    if len(reductions) == 1 and len(behind) > _GROUPS_OF_BLOCKS:
        groups = [list(group) for group in np.array_split([place for place, _ in behind], _GROUPS_OF_BLOCKS)]
        ends = [int(group[-1]) for group in groups]
    else:
        ends = [
            max(place for place, _ in group)
            for reduction, group in itertools.groupby(behind, key=lambda mark: mark[1])
            if reduction > _STEM_REDUCTION
        ]
    in_stem = [place for place, reduction in behind if reduction <= _STEM_REDUCTION]
    stem = max(in_stem) if in_stem else behind[0][0] - 1
    return [stem, *ends[:-1], len(pieces)] if ends else [len(pieces)]


def _piece_of(mark: str, pieces: Sequence[str]) -> int:
    return next(place for place, piece in enumerate(pieces) if mark == piece or mark.startswith(f"{piece}."))


def _divide(pieces: Sequence[str], ends: Sequence[int]) -> Iterator[Sequence[str]]:
    for begin, end in itertools.pairwise([0, *ends]):
        yield pieces[begin:end]
