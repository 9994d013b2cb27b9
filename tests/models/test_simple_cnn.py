"""The small network, computed a second time by hand."""

import pytest
import torch
from torch.nn import functional

from radpath.models.simple_cnn import SimpleCNN


@pytest.fixture(scope="module")
def network() -> SimpleCNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SimpleCNN().eval()


def test_it_is_four_times_convolution_relu_and_pooling_and_then_a_mean(network: SimpleCNN) -> None:
    maps = images = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    weights = list(network.parameters())
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        maps = functional.max_pool2d(functional.conv2d(maps, kernel, bias, padding=2).relu(), 2)
    assert maps.shape == (2, 128, 4, 3)
    torch.testing.assert_close(network(images), maps.mean((2, 3)))


def test_its_convolutions_have_the_sizes_of_the_tissue_classifier(network: SimpleCNN) -> None:
    kernels = [tuple(weight.shape) for weight in network.parameters() if weight.dim() == 4]
    assert kernels == [(16, 3, 5, 5), (32, 16, 5, 5), (64, 32, 5, 5), (128, 64, 5, 5)]


def test_it_takes_any_size_from_sixteen_pixels(network: SimpleCNN) -> None:
    assert network(torch.zeros(1, 3, 16, 31)).shape == (1, 128)
