"""The names under which others publish a network's weights, and which of them a file has.

In: the tensors of a file and a timm network. Out: a ``Reading``, which says for every tensor of the network which one
of the file fills it, and what is left over. A file is recognised by its names and shapes alone, and by one reading
alone: one that lacks a tensor, has one that nobody knows, or can be read in two ways is refused.

Names may stand behind any of the usual wrappers (``state_dict.``, ``module.``, ``model.``, ``encoder.``). The layouts:

- ``timm``: the network's own names, which are also torchvision's for ResNet, DenseNet and Inception;
- ``torchvision``: the same for DenseNet files before 2018, whose layers are called ``norm.1`` instead of ``norm1``;
- ``radimagenet`` (Mei et al. 2022): the children of a torchvision network, counted, behind ``backbone.``;
- ``kimianet`` (Riasatian et al. 2021): the children of a DenseNet121's features behind ``model.0.``, with ``fc_4``;
- ``efficientnet_pytorch``: the package of that name, which counts blocks through all stages.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from torch import Tensor, nn

from radpath.errors import WeightsError

_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "module", "network", "net", "encoder", "backbone")
_TRAINING_STATE: Final = ("optimizer", "optimizers", "scheduler", "lr_scheduler", "scaler", "criterion")
"""What checkpoints hold beside the network."""
_COUNTER: Final = "num_batches_tracked"
"""It only matters where BatchNorm has no momentum; published files often leave it out."""
_SHOWN: Final = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """How one publisher names the tensors of a network."""

    name: str
    rename: Callable[[str, nn.Module], str | None]
    """The network's name for one of the file, which has lost its wrappers; None where it is none of this layout."""
    wrapper: str = ""
    """The wrapper that stands directly in front of every name."""
    beside: tuple[str, ...] = ()
    """Beginnings of names that belong to a classifier or an auxiliary branch, which a backbone has no use for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to read a file."""

    layout: str
    prefix: str
    """What stands in front of every name that is used."""
    used: Mapping[str, str]
    """For each tensor of the network that the file fills, the file's name for it."""
    missing: tuple[str, ...]
    """Tensors of the network that the file does not hold; BatchNorm's counters are not counted."""
    misshapen: tuple[str, ...]
    """Tensors of the file whose shape is not the network's, with both shapes."""
    unknown: tuple[str, ...]
    """Tensors of the file that nobody has a use for."""
    left_over: tuple[str, ...]
    """Tensors of the file that belong to its own classifier or to its training."""

    @property
    def fills(self) -> bool:
        """Whether every tensor of the network is filled."""
        return not self.missing and not self.misshapen

    @property
    def words(self) -> str:
        """The reading in words."""
        return f"{self.layout} names" + (f" behind '{self.prefix}'" if self.prefix else "")


def _same(name: str, _network: nn.Module) -> str:
    return name


def _undotted(name: str, _network: nn.Module) -> str:
    """DenseNet's ``norm.1`` and ``conv.2`` of before 2018, which torchvision itself renames in its published files."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", name)


def _by_number(name: str, network: nn.Module) -> str | None:
    """Children of a torchvision network in a row: timm has the same ones in the same order."""
    number, _, rest = name.partition(".")
    children = [child for child, _ in network.named_children()]
    if not number.isdigit() or int(number) >= len(children):
        return None
    return f"{children[int(number)]}.{rest}"


_STEM_AND_HEAD: Final = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_EXPANDED: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_NOT_EXPANDED: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def _flat_efficientnet(name: str, network: nn.Module) -> str | None:
    """Blocks counted through all stages, where timm counts the blocks of each stage."""
    first, _, rest = name.partition(".")
    if first in _STEM_AND_HEAD:
        return f"{_STEM_AND_HEAD[first]}.{rest}"
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    blocks = [
        (f"blocks.{stage}.{block}", module)
        for stage, members in enumerate(getattr(network, "blocks", nn.Sequential()).children())
        for block, module in enumerate(members.children())
    ]
    if found is None or int(found[1]) >= len(blocks):
        return None
    place, module = blocks[int(found[1])]
    layer = (_EXPANDED if hasattr(module, "conv_pwl") else _NOT_EXPANDED).get(found[2])
    return None if layer is None else f"{place}.{layer}.{found[3]}"


LAYOUTS: Final[dict[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout(name="timm", rename=_same, beside=("AuxLogits.",)),
        Layout(name="torchvision", rename=_undotted, beside=("AuxLogits.",)),
        Layout(name="radimagenet", rename=_by_number, wrapper="backbone."),
        Layout(name="kimianet", rename=_by_number, wrapper="model.", beside=("fc_4.",)),
        Layout(name="efficientnet_pytorch", rename=_flat_efficientnet, beside=("_fc.",)),
    )
}


def read_layout(
    tensors: Mapping[str, Tensor],
    network: nn.Module,
    *,
    classifier: str,
    origin: str,
    layout: str = "auto",
    prefix: str | None = None,
) -> Reading:
    """Return the one reading of a file that fills a network and leaves nothing unknown.

    Args:
        tensors: of the file, by name.
        network: a backbone without a classifier.
        classifier: the beginning of the old classifier's names, as timm tells it.
        origin: the file, for the message.
        layout: one of ``LAYOUTS``, or auto for any.
        prefix: what stands in front of every name that is wanted, where a file holds more than one network; what is
            named otherwise is left over then. None for any of the usual wrappers.

    Raises:
        WeightsError: no reading fits, or more than one does; with counts and examples.
    """
    candidates = list(LAYOUTS.values()) if layout == "auto" else [LAYOUTS[layout]]
    prefixes = _prefixes(tensors) if prefix is None else [prefix]
    readings = [
        _read(tensors, network, one, before, beside=(*one.beside, f"{classifier}."), chosen=prefix is not None)
        for one in candidates
        for before in prefixes
        # A prefix that somebody states is taken as it is.
        if prefix is not None or before.endswith(one.wrapper)
    ]
    filling = _different([reading for reading in readings if reading.fills])
    if len(filling) > 1:
        ways = " and ".join(f"{reading.words} ({_example(reading)}, …)" for reading in filling)
        raise WeightsError(
            f"{origin} can be read in {len(filling)} ways that fill the backbone's {len(filling[0].used)} tensors: "
            f"{ways}; choose one with `radpath convert-weights --prefix`"
        )
    if not filling or filling[0].unknown:
        best = max(readings, key=lambda reading: (len(reading.used), -len(reading.unknown)))
        raise WeightsError(_misfit(best, network, origin))
    return filling[0]


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return every chain of wrappers that stands in front of some name, the shortest first.

    >>> _prefixes(["state_dict.model.conv1.weight", "optimizer.lr"])
    ['', 'state_dict.', 'state_dict.model.']
    """
    found = {""}
    for name in names:
        chain = ""
        for part in name.split("."):
            if part not in _WRAPPERS:
                break
            chain += f"{part}."
            found.add(chain)
    return sorted(found, key=len)


def _read(
    tensors: Mapping[str, Tensor],
    network: nn.Module,
    layout: Layout,
    prefix: str,
    *,
    beside: tuple[str, ...],
    chosen: bool,
) -> Reading:
    wanted = network.state_dict()
    used: dict[str, str] = {}
    misshapen, unknown, left_over = [], [], []
    for name, tensor in tensors.items():
        inside = name.startswith(prefix)
        renamed = layout.rename(name.removeprefix(prefix), network) if inside else None
        if renamed in wanted and renamed not in used:
            used[renamed] = name
            if tensor.shape != wanted[renamed].shape:
                misshapen.append(f"{name}: {_shape(tensor)}, not {_shape(wanted[renamed])}")
        elif (chosen and not inside) or _is_beside(name, prefix, beside):
            left_over.append(name)
        else:
            unknown.append(name)
    missing = [name for name in wanted if name not in used and not name.endswith(_COUNTER)]
    return Reading(
        layout=layout.name,
        prefix=prefix,
        used=used,
        missing=tuple(missing),
        misshapen=tuple(misshapen),
        unknown=tuple(unknown),
        left_over=tuple(sorted(left_over)),
    )


def _is_beside(name: str, prefix: str, beside: tuple[str, ...]) -> bool:
    """Whether a tensor belongs to a classifier, inside the wrapper or outside it, or to the training."""
    bare = name.removeprefix(_prefixes([name])[-1])
    return (
        name.removeprefix(prefix).startswith(beside)
        or bare.startswith(beside)
        or name.partition(".")[0] in _TRAINING_STATE
    )


def _different(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings that use different tensors; of those that use the same, the first."""
    found: list[Reading] = []
    for reading in readings:
        if all(reading.used != other.used for other in found):
            found.append(reading)
    return found


def _example(reading: Reading) -> str:
    return next(iter(reading.used.values()))


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _misfit(best: Reading, network: nn.Module, origin: str) -> str:
    needed = [name for name in network.state_dict() if not name.endswith(_COUNTER)]
    fitting = sum(name in best.used for name in needed) - len(best.misshapen)
    problems = {"missing": best.missing, "of another shape": best.misshapen, "unknown to it": best.unknown}
    told = [f"{len(names)} {kind} ({_some(names)})" for kind, names in problems.items() if names]
    return (
        f"{origin} does not fit the backbone: read as {best.words}, {fitting} of the {len(needed)} tensors "
        f"that it needs are there, {', '.join(told)}; check model.backbone, or choose what to read with "
        "`radpath convert-weights`"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
