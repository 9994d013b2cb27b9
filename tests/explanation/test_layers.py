"""The layer of a class activation map is found for every kind of network, and fits the size of the image."""

from collections.abc import Callable

import pytest
import torch

from radpath.data.batches import Batch
from radpath.explanation.layers import MapLayer, choose_layer, map_layers, view_layer
from radpath.explanation.looking import images_of
from radpath.models.classifier import Classifier

ModelMaker = Callable[..., Classifier]


@pytest.mark.parametrize(
    ("backbone", "deepest", "stride"),
    [
        ("test_resnet", "layer4", 32),
        ("test_efficientnet", "bn2", 32),  # behind the last convolution
        ("test_convnext", "norm_pre", 32),
        ("simple_cnn", "stages.2", 16),
        ("preact_resnet18", "norm", 32),
    ],
)
def test_the_last_map_before_the_pooling_is_found(
    make_model: ModelMaker, backbone: str, deepest: str, stride: int
) -> None:
    model = make_model(backbone).eval()
    layers = map_layers(model)
    assert (layers[-1].stride_px, layers[-1].channels_last) == (stride, False)
    assert layers[-1].module.startswith(deepest)
    assert [layer.stage for layer in layers] == [stage.name for stage in model.stages]


def test_attention_to_channels_and_positions_stands_before_the_map(make_model: ModelMaker) -> None:
    model = make_model("test_resnet", attention="cbam").eval()
    assert type(model.backbone.network.get_submodule(map_layers(model)[-1].module)).__name__ == "Attended"


def test_tokens_are_no_map(make_model: ModelMaker) -> None:
    assert map_layers(make_model("test_vit").eval()) == ()


def test_an_image_too_small_for_all_gets_the_finest_layer() -> None:
    layers = [
        MapLayer(module=name, stage=name, stride_px=stride, channels_last=False)
        for name, stride in (("a", 8.0), ("b", 16.0), ("c", 32.0))
    ]
    assert [choose_layer(layers, side, 500).stage for side in (8, 25, 49, 96, 97)] == ["a", "a", "b", "b", "c"]


def test_gradients_are_those_of_the_score_and_end_at_the_image(
    make_model: ModelMaker, make_batch: Callable[..., Batch]
) -> None:
    model = make_model("simple_cnn").eval()
    (looked,) = images_of(make_batch([(40, 50)], canvas=64), torch.device("cpu"))
    view = view_layer(model, looked, 1, map_layers(model)[-1])
    assert view.activations.shape == view.gradients.shape == (128, 2, 3)  # 40 x 50 px leave 2 x 3 whole cells of 16
    # The mean over six positions, and one linear layer behind it.
    expected = model.head.weight[1] / 6
    assert torch.allclose(view.gradients, expected[:, None, None].expand_as(view.gradients), atol=1e-7)
    assert all(parameter.grad is None for parameter in model.parameters())
