"""Attention begins as the mean, follows padding, and finds what it should look at."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models.pooling import AttentionPooling, attach_attention, attend
from radpath.models.valid_area import ValidArea

NetworkMaker = Callable[[str], nn.Module]
PaddedMaker = Callable[..., Tensor]


def maps(batch: int = 2, *, height: int = 3, width: int = 5) -> Tensor:
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(1))


def test_attention_begins_as_the_mean() -> None:
    torch.testing.assert_close(AttentionPooling(4, flatten=True)(maps()), maps().mean((2, 3)), rtol=1e-6, atol=1e-6)
    assert AttentionPooling(4, flatten=False)(maps()).shape == (2, 4, 1, 1)


def test_attention_weighs_positions_by_the_softmax_of_their_scores() -> None:
    scores = torch.randn(2, 1, 3, 5)
    weights = scores.exp() / scores.exp().sum((2, 3), keepdim=True)
    torch.testing.assert_close(attend(maps(), scores), (maps() * weights).sum((2, 3)))


def test_half_precision_is_summed_in_full() -> None:
    large = torch.full((1, 4, 200, 200), 9.0, dtype=torch.float16)
    assert AttentionPooling(4, flatten=True)(large).tolist() == [[9.0] * 4]


def test_attention_looks_at_no_padding() -> None:
    pooling, canvas = AttentionPooling(4, flatten=True), maps(height=6, width=7)
    with torch.no_grad():
        pooling.query.copy_(torch.tensor([1.0, -2.0, 0.5, 3.0]))
    heights, widths = torch.tensor([6, 2]), torch.tensor([3, 7])
    alone = [pooling(canvas[i : i + 1, :, : heights[i], : widths[i]])[0] for i in range(2)]
    canvas[1, :, 2:] = torch.inf
    with ValidArea(canvas, heights, widths):
        together = pooling(canvas)
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "mobilenetv3_small_050"])
def test_a_network_with_attention_begins_with_its_own_features(name: str, wild_network: NetworkMaker) -> None:
    network = copy.deepcopy(wild_network(name))
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    before = network(images)
    module = attach_attention(network, images[:1])
    network.get_submodule(module).double()
    torch.testing.assert_close(network(images), before, rtol=1e-5, atol=1e-5)
    assert not any(part.training for part in network.modules() if not isinstance(part, AttentionPooling))


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_padding_changes_nothing_for_a_network_with_attention(
    name: str, wild_network: NetworkMaker, put_on_canvas: PaddedMaker
) -> None:
    network = copy.deepcopy(wild_network(name))
    images = [torch.rand(3, *size, dtype=torch.float64) for size in ((64, 96), (50, 37))]
    attention = network.get_submodule(attach_attention(network, images[0][None])).double()
    torch.nn.init.normal_(next(attention.parameters()))
    canvas = put_on_canvas(images, height=128, width=128)
    heights, widths = torch.tensor([64, 50]), torch.tensor([96, 37])
    with torch.no_grad(), ValidArea(canvas, heights, widths):
        together = network(canvas)
    for place, image in enumerate(images):
        alone = put_on_canvas([image], height=64, width=96)
        with torch.no_grad(), ValidArea(alone, heights[place : place + 1], widths[place : place + 1]):
            torch.testing.assert_close(network(alone)[0], together[place], rtol=1e-5, atol=1e-5)


def test_attention_learns_to_look_at_the_one_position_that_tells_the_class() -> None:
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    features, truth = 0.1 * torch.randn(64, 4, 5, 5, generator=random), torch.arange(64) % 2
    rows, columns = (torch.randint(5, (64,), generator=random) for _ in range(2))
    features[torch.arange(64), 0, rows, columns] = 4.0  # where to look
    features[torch.arange(64), 1, rows, columns] = 2.0 * truth - 1
    features[:, 2] += torch.randn(64, 5, 5, generator=random)
    pooling, head = AttentionPooling(4, flatten=True), nn.Linear(4, 2)
    optimiser = torch.optim.Adam([*pooling.parameters(), *head.parameters()], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        torch.autograd.backward(functional.cross_entropy(head(pooling(features)), truth))
        optimiser.step()
    assert (head(pooling(features)).argmax(1) == truth).all()
    marks = torch.zeros(64, 1, 5, 5)
    marks[torch.arange(64), 0, rows, columns] = 1
    scores = torch.einsum("bfhw,f->bhw", features, pooling.query.detach())[:, None] / 2  # the square root of 4
    assert float(attend(marks, scores).mean()) > 0.5  # and not a twenty-fifth


def test_a_network_that_takes_no_mean_over_positions_is_refused(wild_network: NetworkMaker) -> None:
    message = r"^model\.pooling is 'attention', but the backbone does not end in a mean .*; set 'mean', or take a conv"
    for network in (
        copy.deepcopy(wild_network("test_vit")),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(2)),
    ):
        with pytest.raises(SettingsError, match=message):
            attach_attention(network, torch.zeros(1, 3, 160, 160))
