"""One channel in the place of three equal ones: the same numbers."""

import copy

import pytest
import torch
from torch import Tensor, nn

from radpath.errors import SettingsError
from radpath.models.architectures import create_network
from radpath.models.classifier import ModelSettings, build_classifier
from radpath.models.grey import sum_colours

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SAME_MEAN = ((0.4, 0.4, 0.4), (0.2, 0.3, 0.25))

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


def grey_image(side_px: int = 64) -> Tensor:
    return torch.rand(2, 1, side_px, side_px, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def repeated(image: Tensor, normalisation: Normalisation) -> Tensor:
    return torch.cat([(image - mean) / std for mean, std in zip(*normalisation, strict=True)], dim=1)


def both(network: nn.Module, first_conv: str, normalisation: Normalisation) -> tuple[Tensor, Tensor]:
    """Features of an image that is repeated, and of the same image with summed weights."""
    network = network.double().eval()
    image = grey_image()
    with torch.no_grad():
        expected = network(repeated(image, normalisation))
        mean, std = sum_colours(network, first_conv, mean=normalisation[0], std=normalisation[1])
        return expected, network((image - mean) / std)


@pytest.mark.parametrize("normalisation", [HALF, SAME_MEAN])
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "simple_cnn", "tf_efficientnet_lite0"])
def test_where_all_channels_have_one_mean_summing_gives_what_repeating_gives(
    name: str, normalisation: Normalisation
) -> None:
    network, config = create_network(name, from_hub=False)
    expected, found = both(network, config["first_conv"], normalisation)
    assert float((expected - found).abs().max()) <= 1e-5 * float(expected.abs().max())
    assert network.get_parameter(f"{config['first_conv']}.weight").shape[1] == 1


def test_a_first_layer_without_padding_allows_any_means() -> None:
    network, config = create_network("test_convnext", from_hub=False)
    expected, found = both(network, config["first_conv"], IMAGENET)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_with_other_means_only_the_border_differs() -> None:
    layer = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    expected, found = both(nn.Sequential(layer), "0", IMAGENET)
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], rtol=1e-5, atol=1e-6)
    assert float((found - expected).abs().max()) > 1e-3


def test_the_layer_keeps_everything_but_its_channels() -> None:
    before = nn.Conv2d(3, 5, (3, 5), stride=2, padding=(1, 2), dilation=2)
    network = nn.Sequential(copy.deepcopy(before))
    assert sum_colours(network, "0", mean=HALF[0], std=HALF[1]) == (0.5, 0.5)
    after = network[0]
    assert isinstance(after, nn.Conv2d)
    assert (after.stride, after.padding, after.dilation) == (before.stride, before.padding, before.dilation)
    assert after.in_channels == 1
    torch.testing.assert_close(after.weight, before.weight.sum(1, keepdim=True))
    torch.testing.assert_close(after.bias, before.bias)


def test_a_layer_that_standardises_its_weights_is_refused() -> None:
    network, config = create_network("test_nfnet", from_hub=False)
    with pytest.raises(SettingsError, match=r"^model\.grey is 'sum', but the first layer .* does not add up its chann"):
        sum_colours(network, config["first_conv"], mean=HALF[0], std=HALF[1])


@pytest.mark.parametrize(
    ("layer", "first_conv"),
    [
        (nn.Conv2d(4, 5, 3), "0"),
        (nn.Conv2d(3, 6, 3, groups=3), "0"),
        (nn.Linear(3, 5), "0"),
        (nn.Conv2d(3, 5, 3), None),
        (nn.Conv2d(3, 5, 3), ("0", "1")),
    ],
)
def test_a_network_without_one_first_convolution_of_three_colours_is_refused(
    layer: nn.Module, first_conv: object
) -> None:
    with pytest.raises(SettingsError, match=r"does not begin with one convolution of three colours .*'repeat'$"):
        sum_colours(nn.Sequential(layer), first_conv, mean=HALF[0], std=HALF[1])


@pytest.mark.parametrize("normalisation", ["weights", "none", "caffe"])
@pytest.mark.parametrize("freeze", ["none", "top-1"])
def test_a_classifier_gives_the_same_logits_for_grey_images_as_one_channel_or_three(
    normalisation: str, freeze: str
) -> None:
    values = {"backbone": "test_convnext", "weights": "none", "norm_statistics": "batch", "freeze": freeze}
    repeats, sums = (
        build_classifier(
            ModelSettings.model_validate({**values, "normalisation": normalisation, "grey": grey}),
            num_classes=2,
            seed=3,
        ).eval()
        for grey in ("repeat", "sum")
    )
    images, sides = grey_image(96).float(), (torch.tensor([96, 60]), torch.tensor([96, 70]))
    with torch.no_grad():
        expected = repeats(images, *sides)
        torch.testing.assert_close(sums(images, *sides), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
        if freeze != "none":
            torch.testing.assert_close(sums.onwards(sums.until(images, *sides)), sums(images, *sides))
    assert sums.mean.shape == (1, 1, 1, 1)


@pytest.mark.parametrize("grey", ["repeat", "sum"])
def test_the_first_layer_computes_with_channels_last(grey: str) -> None:
    values = {"backbone": "test_resnet", "weights": "none", "norm_statistics": "batch", "grey": grey}
    model = build_classifier(ModelSettings.model_validate(values), num_classes=2, seed=0)
    seen: list[Tensor] = []
    layer = model.backbone.network.get_submodule("conv1.0")
    layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        model.eval()(torch.rand(2, 1, 64, 64), torch.full((2,), 64), torch.full((2,), 64))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
