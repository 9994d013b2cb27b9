"""Networks for the tests of ``models``: built once, small, and with nothing left at its tame first value."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from radpath.models.architectures import create_network
from radpath.models.backbones import Backbone, BackboneSettings, build_backbone

NetworkMaker = Callable[[str], nn.Module]
PaddedMaker = Callable[..., torch.Tensor]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small convolutions gain nothing from more, and tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bundled_backbone() -> Backbone:
    """EfficientNet-Lite 0 with its ImageNet weights, in evaluation mode."""
    return build_backbone(BackboneSettings()).eval()


@pytest.fixture(scope="session")
def wild_network() -> NetworkMaker:
    """Return a maker of networks without classifier, in double precision and evaluation mode, drawn at random.

    Freshly built networks have gains of one, offsets of zero, statistics of (0, 1) and some branches scaled by 1e-6:
    with these, many mistakes change nothing.
    """

    @functools.cache
    def make(name: str) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            network, _ = create_network(name, from_hub=False)
            with torch.no_grad():
                for tensor in (*network.parameters(), *network.buffers()):
                    if tensor.is_floating_point() and tensor.numel() == max(tensor.shape, default=1):
                        tensor.copy_(torch.rand(tensor.shape) + 0.5)
        return network.double().eval()

    return make


@pytest.fixture(scope="session")
def put_on_canvas() -> PaddedMaker:
    """Return a function that puts images (each 3 x height x width) on one canvas, with rubbish in the padding."""

    def put(images: list[torch.Tensor], *, height: int, width: int, rubbish: float = 9.0) -> torch.Tensor:
        canvas = torch.full((len(images), images[0].shape[0], height, width), rubbish, dtype=images[0].dtype)
        for place, image in enumerate(images):
            canvas[place, :, : image.shape[1], : image.shape[2]] = image
        return canvas

    return put
