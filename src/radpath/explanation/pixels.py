"""Maps made at the pixels, whatever network lies behind them: integrated gradients and occlusion, by captum.

In: an image and a class. Out: for each pixel, how much it adds to the class's score; negative where it speaks against.

- Integrated gradients: Sundararajan, Taly and Yan 2017, equation 1, summed over the colours.
- Occlusion: Zeiler and Fergus 2014, section 4.2: by how much the score falls where a square is hidden, averaged over
  the squares that hide a pixel.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from radpath.errors import MissingExtraError
from radpath.explanation.looking import Looked
from radpath.explanation.settings import Baseline, ExplanationSettings
from radpath.models import torchvision_compat
from radpath.models.classifier import Classifier

_LOOKS_AT_ONCE: Final = 16  # changed copies of one image that go through the network together


def integrated_gradients(
    model: Classifier, looked: Looked, column: int, settings: ExplanationSettings
) -> Float32[np.ndarray, "height width"]:
    """Return the integral of the gradients on the way from the baseline to the image, times the way.

    Raises:
        MissingExtraError: captum is not installed.
    """
    method = _captum().IntegratedGradients(_score_of(model, looked, column))
    added = method.attribute(
        looked.canvas,
        baselines=baseline_of(looked, settings.baseline),
        n_steps=settings.steps,
        internal_batch_size=_LOOKS_AT_ONCE,
    )
    return _of_image(added, looked)


def occlusion(
    model: Classifier, looked: Looked, column: int, settings: ExplanationSettings
) -> Float32[np.ndarray, "height width"]:
    """Return by how much the score falls where each pixel is hidden.

    Raises:
        MissingExtraError: captum is not installed.
    """
    channels = looked.canvas.shape[1]
    side = max(1, round(settings.window * min(looked.height_px, looked.width_px)))
    step = max(1, side // 2)
    # Without its padding, which needs no hiding, the image is no canvas that the network knows.
    method = _captum().Occlusion(lambda images: _score_of(model, looked, column)(_on_canvas(images, looked)))
    with torch.no_grad():
        fallen = method.attribute(
            looked.visible,
            sliding_window_shapes=(channels, side, side),
            strides=(channels, step, step),
            baselines=_within(baseline_of(looked, settings.baseline), looked),
            perturbations_per_eval=_LOOKS_AT_ONCE,
        )
    return _of_image(fallen / channels, looked)  # captum says of each colour what belongs to all of them together


def baseline_of(looked: Looked, baseline: Baseline) -> Float[Tensor, "1 channels height width"]:
    """Return the canvas with nothing to see on it; the padding stays as it is."""
    empty = looked.canvas.clone()
    values = {
        "mean": looked.visible.mean(dim=(2, 3), keepdim=True),
        "black": torch.zeros_like(empty[:, :, :1, :1]),
        "white": torch.ones_like(empty[:, :, :1, :1]),
    }
    empty[:, :, : looked.height_px, : looked.width_px] = values[baseline]
    return empty


def _captum() -> Any:  # noqa: ANN401 - a module
    """Return captum's methods.

    Raises:
        MissingExtraError: captum is not installed.
    """
    torchvision_compat.ensure_importable()
    try:
        from captum import attr
    except ImportError:
        raise MissingExtraError(
            "this method needs captum, which is not installed: pip install radpath[explain]; grad_cam, grad_cam_pp and "
            "hires_cam need nothing more"
        ) from None
    return attr


def _score_of(model: Classifier, looked: Looked, column: int) -> Callable[[Tensor], Tensor]:
    """Return the function that is explained: changed copies of the image in, the score of one class out."""

    def score(canvases: Tensor) -> Tensor:
        return looked.scores(model, canvases)[:, column]

    return score


def _on_canvas(images: Tensor, looked: Looked) -> Tensor:
    canvases = looked.canvas.repeat(len(images), 1, 1, 1)
    canvases[:, :, : looked.height_px, : looked.width_px] = images
    return canvases


def _within(canvas: Tensor, looked: Looked) -> Tensor:
    return canvas[:, :, : looked.height_px, : looked.width_px]


def _of_image(added: Tensor, looked: Looked) -> Float32[np.ndarray, "height width"]:
    pixels: np.ndarray = _within(added, looked)[0].sum(dim=0).detach().cpu().float().numpy()
    return np.ascontiguousarray(pixels)
