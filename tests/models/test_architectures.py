"""Networks by name: timm's and radpath's own."""

from typing import Any

import pytest
import torch

from radpath.errors import SettingsError
from radpath.models.architectures import OWN, create_network, require_known


@pytest.mark.parametrize("name", ["simple_cnn", "preact_resnet18", "test_resnet", "test_vit", "resnet50.a1_in1k"])
def test_a_known_name_is_let_through(name: str) -> None:
    require_known(name)


@pytest.mark.parametrize(("name", "near"), [("simple_cn", "simple_cnn"), ("resnet_18", "resnet18")])
def test_an_unknown_name_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(SettingsError, match=rf"^model\.backbone is '{name}', .*did you mean .*\b{near}\b"):
        require_known(name)


@pytest.mark.parametrize("name", ["simple_cnn", "preact_resnet18", "test_resnet"])
def test_what_is_told_of_a_network_is_true(name: str) -> None:
    network: Any
    network, config = create_network(name, from_hub=False)
    layer = network.get_submodule(config["first_conv"])
    assert isinstance(layer, torch.nn.Conv2d)
    assert layer.in_channels == 3
    seen: dict[str, torch.Size] = {}
    for info in network.feature_info:
        network.get_submodule(info["module"]).register_forward_hook(
            lambda _module, _inputs, output, name=info["module"]: seen.update({name: output.shape})
        )
    network.eval()(torch.zeros(1, 3, 64, 64))
    for info in network.feature_info:
        side = 64 // info["reduction"]
        assert seen[info["module"]] == (1, info["num_chs"], side, side)


def test_every_own_network_has_a_name_that_timm_does_not_use() -> None:
    import timm

    assert set(OWN).isdisjoint(timm.list_models())
    assert set(OWN) == {"simple_cnn", *(f"preact_resnet{depth}" for depth in (18, 34, 50, 101, 152))}
