"""Convolutional block attention (CBAM) behind each stage of a network: what to look at, then where.

Woo, Park, Lee and Kweon 2018, "CBAM: Convolutional block attention module", equations 2 and 3, with the paper's
reduction of 16 and kernel of 7. In: a network whose stages give feature maps. Out: the same network, whose maps are
weighed by channel and by position.

Departure: the gates are 2 sigmoid(x) instead of sigmoid(x), and the last layer of each begins at zero, so that every
gate begins at exactly 1 and pretrained features come through unchanged, bit for bit. The factor is one that the next
layer's weights or normalisation can take in, so what the network can express is the same. The paper's blocks stand
inside each residual block; as in the histology system that this follows, they stand behind each stage here.
"""

from collections.abc import Callable
from typing import Any, Final, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radpath.errors import SettingsError

_REDUCTION: Final = 16  # the paper's r
_KERNEL: Final = 7  # its filter for positions, 7 x 7
_SMALLEST_REDUCTION: Final = 4  # what comes before a quarter of the image's side is the stem


@final
class CBAM(nn.Module):
    """Channel attention, then spatial attention; both begin as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // _REDUCTION, 1)
        last = nn.Linear(hidden, channels)
        self.shared = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), last)
        self.where = nn.Conv2d(2, 1, _KERNEL, padding=_KERNEL // 2, bias=False)
        for begins_at_zero in (last.weight, last.bias, self.where.weight):
            nn.init.zeros_(begins_at_zero)

    def forward(
        self, maps: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the weighed maps. Means and maxima over positions are those of the valid area, where one is active."""
        by_channel = self.shared(maps.mean((2, 3))) + self.shared(maps.amax((2, 3)))  # equation 2
        maps = maps * _gate(by_channel)[:, :, None, None]
        both = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], dim=1)
        return maps * _gate(self.where(both))  # equation 3


def _gate(signal: Tensor) -> Tensor:
    return 2 * signal.sigmoid()


@final
class Attended(nn.Module):
    """A stage of a network with attention behind it."""

    def __init__(self, stage: nn.Module, attention: CBAM) -> None:
        super().__init__()
        self.stage = stage
        self.attention = attention

    def forward(self, maps: Tensor) -> Tensor:
        """Return the stage's maps, weighed."""
        weighed: Tensor = self.attention(self.stage(maps))
        return weighed


def add_cbam(network: nn.Module, *, name: str, run: Callable[[nn.Module], object]) -> None:
    """Put attention behind each stage whose maps have at most a quarter of the image's side.

    Args:
        network: is changed in place.
        name: the backbone's, for the message.
        run: runs the network once on any image that it takes.

    Raises:
        SettingsError: the network has no such stages.
    """
    stages = {
        str(info["module"]): int(info["num_chs"])
        for info in getattr(network, "feature_info", [])
        if info["reduction"] >= _SMALLEST_REDUCTION
    }
    outputs = _outputs(network, list(stages), run)
    for stage, channels in stages.items():
        problem = _problem(outputs[stage], channels)
        if problem:
            raise SettingsError(
                f"model.attention is 'cbam', which backbone '{name}' cannot have: its {stage} gives {problem}, and "
                "attention needs maps with channels first; set model.attention to 'none', or take a convolutional one"
            )
    if not stages:
        raise SettingsError(
            f"model.attention is 'cbam', but backbone '{name}' does not say where its stages are; "
            "set model.attention to 'none'"
        )
    for stage, channels in stages.items():
        network.set_submodule(stage, Attended(network.get_submodule(stage), CBAM(channels)))


def _outputs(network: nn.Module, names: list[str], run: Callable[[nn.Module], object]) -> dict[str, Any]:
    """Return what some modules give while the network runs once; None for one that is not called."""
    seen: dict[str, Any] = dict.fromkeys(names)
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.__setitem__(name, output)
        )
        for name in names
    ]
    try:
        run(network)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _problem(output: Any, channels: int) -> str | None:  # noqa: ANN401 - whatever another program's module returns
    if not isinstance(output, Tensor):
        return "no single tensor"
    if output.dim() != 4:
        return "tokens"
    return None if output.shape[1] == channels else "maps with channels last"
