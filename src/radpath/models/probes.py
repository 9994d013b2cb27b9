"""What a network does with padding and with small images is measured, never assumed.

In: a network for images of three channels. Out: why padded images cannot be used with it, the smallest canvas it runs
on, and its features of an empty canvas.
"""

import contextlib
import copy
import warnings
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radpath.data.batches import CANVAS_STEP_PX
from radpath.errors import SettingsError, first_line
from radpath.models.valid_area import UnfollowedPaddingError, ValidArea

_PADDING_TOLERANCE: Final = 1e-6  # relative, in float64, where rounding is near 1e-13 and a real dependence above 1e-4
_NEARLY_NOTHING: Final = 0.01  # a weight matrix without a larger value begins as "no change"; drawn ones reach above
_LARGEST_SMALLEST_CANVAS_PX: Final = 512
_REFUSALS: Final = (UnfollowedPaddingError, RuntimeError, AssertionError, ValueError, IndexError)
"""What a network raises on a canvas that does not suit it."""


def padding_problem(network: nn.Module) -> str | None:
    """Measure whether padding changes a network's features; return the reason if so, None if not.

    One image, whose height is odd after each of five halvings, is put on two canvases. The network is copied, and what
    would hide a branch is drawn anew.
    """
    probe = copy.deepcopy(network).double().eval()
    random = torch.Generator().manual_seed(0)
    _reveal_branches(probe, random)
    image = torch.rand(1, 3, 2 * CANVAS_STEP_PX + 1, 3 * CANVAS_STEP_PX - 14, generator=random, dtype=torch.float64)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a network that is about to be refused may warn first
            small, large = (_probe_features(probe, image, steps) for steps in (3, 5))
    except _REFUSALS as error:
        return f"it does not run on padded images of any size ({first_line(error)})"
    difference = float((small - large).abs().max() / small.abs().max().clamp(min=1e-12))
    if difference > _PADDING_TOLERANCE:
        return f"padding changes its features by a relative {difference:.1g} although it is masked"
    return None


def _reveal_branches(probe: nn.Module, random: torch.Generator) -> None:
    """Draw anew the parameters that begin at or near zero, and all gains and offsets.

    Freshly built networks multiply some of their branches by almost nothing, which would hide what these branches do.
    """
    probe.requires_grad_(requires_grad=False)
    for parameter in probe.parameters():
        if parameter.numel() == max(parameter.shape, default=1):  # one number a channel
            # Not larger: a softmax over positions that is all but one-hot would hide what the others do.
            parameter.data = 0.2 + 0.2 * torch.rand(parameter.shape, generator=random, dtype=torch.float64)
        elif float(parameter.abs().max()) < _NEARLY_NOTHING:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=random, dtype=torch.float64)


def smallest_canvas(network: nn.Module) -> int:
    """Measure the smallest square canvas on which a network runs, in pixels.

    Raises:
        SettingsError: it runs on none up to 512 px.
    """
    sides = range(CANVAS_STEP_PX, _LARGEST_SMALLEST_CANVAS_PX + 1, CANVAS_STEP_PX)
    for side in sides:
        with contextlib.suppress(*_REFUSALS):  # for example: "kernel size can't be greater than actual input size"
            run_empty(network, side)
            return side
    raise SettingsError(f"model.backbone runs on no canvas of {sides[0]} to {sides[-1]} px; choose another")


def run_empty(network: nn.Module, side_px: int) -> Float[Tensor, "1 features"]:
    """Return the features of an empty canvas."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return _as_vectors(network(torch.zeros(1, 3, side_px, side_px)))
    finally:
        network.train(was_training)


def _probe_features(probe: nn.Module, image: Tensor, steps: int) -> Tensor:
    """Return the features of one image on a canvas of ``steps`` steps, with rubbish in the padding."""
    side = steps * CANVAS_STEP_PX
    canvas = torch.full((1, 3, side, side), 7.0, dtype=image.dtype)
    canvas[..., : image.shape[-2], : image.shape[-1]] = image
    with ValidArea(canvas, torch.tensor([image.shape[-2]]), torch.tensor([image.shape[-1]])):
        features: Tensor = probe(canvas)
    return _as_vectors(features)


def _as_vectors(features: Tensor) -> Tensor:
    if features.dim() != 2:
        raise UnfollowedPaddingError(f"its features have {features.dim()} dimensions, not 2")
    return features
