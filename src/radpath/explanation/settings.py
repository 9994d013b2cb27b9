"""How images are explained: which method, and what it does with an image."""

from typing import Literal

from pydantic import Field

from radpath.settings import Settings

Method = Literal["grad_cam", "grad_cam_pp", "hires_cam", "integrated_gradients", "occlusion", "attention_rollout"]
"""The ways to explain; each module of this folder says where its own come from."""

Baseline = Literal["mean", "black", "white"]


class ExplanationSettings(Settings):
    """How `radpath explain` explains."""

    method: Method = "grad_cam"
    """grad_cam, grad_cam_pp (Grad-CAM++), hires_cam: from the last feature map that still tells places apart, quick;
    integrated_gradients, occlusion: from the pixels, slow (extra explain); attention_rollout: for transformers, the
    same for every class."""
    baseline: Baseline = "mean"
    """What stands for "nothing to see" in integrated_gradients and occlusion: the image's own mean colour, black, or
    white."""
    steps: int = Field(default=50, ge=2, le=1000)
    """Points on the way from the baseline to the image; only for method = "integrated_gradients"."""
    window: float = Field(default=0.2, gt=0, le=0.5)
    """Side of the square that is hidden, as a share of the image's shorter side; it moves by half of itself. Only for
    method = "occlusion"."""
