"""How much of a backbone learns: ``model.freeze`` becomes a number of frozen stages.

In: the setting, the backbone's name and its stages. Out: how many stages, counted from the stem, keep their weights and
statistics. The names of older programs, which counted a network's modules instead of stages, are understood where they
meant whole stages, and refused with what they meant where they did not.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from radpath.data.findings import counted
from radpath.errors import SettingsError
from radpath.models.stages import Stage

_VALUES: Final = re.compile(r"all|none|top-[1-9]\d*|freezeall|unfreezeall|unfreezetop[1-9]\d*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Freezing:
    """What a value of ``model.freeze`` means for one backbone."""

    num_frozen: int
    """So many stages, counted from the stem, do not learn."""
    explanation: str = ""
    """What an older name meant, in a sentence; empty for radpath's own names."""


def checked_freeze(freeze: str) -> str:
    """Return a value of ``model.freeze`` as it is.

    Raises:
        ValueError: it is none.

    >>> checked_freeze("top-2")
    'top-2'
    """
    if not _VALUES.fullmatch(freeze):
        raise ValueError(f"'{freeze}' is no way to freeze; it must be all, none, or top-N, for example top-1")
    return freeze


def learns_nothing_of_the_backbone(freeze: str) -> bool:
    """Return True for the values that freeze every backbone as a whole."""
    return freeze in {"all", "freezeall"}


def read_freeze(freeze: str, stages: Sequence[Stage], *, backbone: str) -> Freezing:
    """Return what ``model.freeze`` means for a backbone with these stages.

    Raises:
        SettingsError: there are not so many stages, or an older name did not mean whole stages of this backbone.
    """
    if freeze == "all":
        return Freezing(num_frozen=len(stages))
    if freeze == "none":
        return Freezing(num_frozen=0)
    if freeze.startswith("top-"):
        return Freezing(num_frozen=_num_below(int(freeze.removeprefix("top-")), stages, backbone))
    return _older_name(freeze, stages, backbone)


def _num_below(num_learning: int, stages: Sequence[Stage], backbone: str) -> int:
    if num_learning > len(stages):
        raise SettingsError(
            f"model.freeze is 'top-{num_learning}', but backbone '{backbone}' has {len(stages)} stages "
            f"({', '.join(stage.name for stage in stages)}); set at most 'top-{len(stages)}', which is 'none'"
        )
    return len(stages) - num_learning


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Counted:
    """How the older program counted one family of networks: the modules that it saw, from the last to the first."""

    modules: tuple[str, ...]
    stages: Mapping[int, int]
    """How many of radpath's stages learn where so many modules did; a number that is not here cut a stage apart."""
    nothing: tuple[int, ...] = ()
    """So many modules held no weights at all."""


_RESNET: Final = _Counted(
    modules=("avgpool", "layer4", "layer3", "layer2", "layer1", "maxpool", "relu", "bn1", "conv1"),
    stages={2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 4, 9: 5, 10: 5},  # 10 ran past the beginning, and freed everything too
    nothing=(1,),
)
_DENSENET: Final = _Counted(modules=("all of it",), stages={1: 5})
_INCEPTION: Final = _Counted(
    modules=(
        *("dropout", "avgpool", "Mixed_7c", "Mixed_7b", "Mixed_7a"),
        *("Mixed_6e", "Mixed_6d", "Mixed_6c", "Mixed_6b", "Mixed_6a", "Mixed_5d", "Mixed_5c", "Mixed_5b"),
        *("maxpool2", "Conv2d_4a", "Conv2d_3b", "maxpool1", "Conv2d_2b", "Conv2d_2a", "Conv2d_1a"),
    ),
    stages={5: 1, 10: 2, 13: 3, 14: 3, 16: 4, 17: 4, 20: 5},
    nothing=(1, 2),
)
_FAMILIES: Final[dict[str, _Counted]] = {
    r"resnet\d+(\..*)?": _RESNET,
    r"densenet\d+(\..*)?": _DENSENET,
    r"inception_v3(\..*)?": _INCEPTION,
}


def _older_name(freeze: str, stages: Sequence[Stage], backbone: str) -> Freezing:
    """Translate freezeall, unfreezeall and unfreezetopN."""
    if freeze == "freezeall":
        told = "'freezeall' left BatchNorm's statistics moving there; here it is 'all', which keeps them"
        return Freezing(num_frozen=len(stages), explanation=told)
    if freeze == "unfreezeall":
        return Freezing(num_frozen=0, explanation="'unfreezeall' is 'none': everything learns")
    count = int(freeze.removeprefix("unfreezetop"))
    family = next((kind for name, kind in _FAMILIES.items() if re.fullmatch(name, backbone)), None)
    if family is None:
        raise SettingsError(
            f"model.freeze is '{freeze}', which counted the modules of ResNet, DenseNet and Inception-v3, and means "
            f"nothing for backbone '{backbone}'; set 'top-N', which counts its {len(stages)} stages"
        )
    return _translated(freeze, count, family, stages)


def _translated(freeze: str, count: int, family: _Counted, stages: Sequence[Stage]) -> Freezing:
    meant = f"'{freeze}' meant the last {counted(count, 'module')}, {', '.join(family.modules[:count])}"
    if count in family.nothing:
        raise SettingsError(f"model.freeze: {meant}, without any weights: nothing of the backbone learned; set 'all'")
    if count in family.stages:
        learning = family.stages[count]
        value = "none" if learning == len(stages) else f"top-{learning}"
        return Freezing(num_frozen=len(stages) - learning, explanation=f"{meant}; here it is '{value}'")
    if count > len(family.modules):
        raise SettingsError(
            f"model.freeze is '{freeze}', but this backbone had only {counted(len(family.modules), 'module')} to count "
            "there; set 'top-N', which counts stages, or 'none'"
        )
    raise SettingsError(f"model.freeze: {meant}, which are no whole stages; set 'top-N', which counts stages")
