"""Stages mean the same for every backbone, and every weight is in one of them."""

from collections.abc import Callable

import pytest
from torch import nn

from radpath.models.stages import Stage, place_of, stages_of

NetworkMaker = Callable[[str], nn.Module]

FIVE = ["stem", "stage1", "stage2", "stage3", "stage4"]

# Where each stage's own layers begin and end, read from the papers' tables and the code of each network.
LANDMARKS = {
    "resnet18": [("conv1", 0), ("bn1", 0), ("layer1.0.conv1", 1), ("layer2", 2), ("layer3", 3), ("layer4", 4)],
    "densenet121": [
        *(("features.conv0", 0), ("features.denseblock1", 1), ("features.transition1", 2), ("features.denseblock2", 2)),
        *(("features.denseblock3", 3), ("features.denseblock4", 4), ("features.norm5", 4)),
    ],
    "tf_efficientnet_lite0": [
        *(("conv_stem", 0), ("blocks.0", 0), ("blocks.1", 1), ("blocks.2", 2), ("blocks.3", 3), ("blocks.4", 3)),
        *(("blocks.5", 4), ("blocks.6", 4), ("conv_head", 4), ("bn2", 4)),
    ],
    "test_convnext": [("stem", 0), ("stages.0", 1), ("stages.1", 2), ("stages.3.blocks.0.norm", 4), ("head.norm", 4)],
    "test_vit": [("patch_embed", 0), ("pos_embed", 0), ("cls_token", 0), ("blocks.0", 1), ("blocks.5", 4), ("norm", 4)],
    "inception_v3": [
        *(("Conv2d_2b_3x3", 0), ("Conv2d_3b_1x1", 1), ("Mixed_5b", 2), ("Mixed_5d", 2), ("Mixed_6a", 3)),
        *(("Mixed_6e", 3), ("Mixed_7a", 4), ("Mixed_7c", 4)),
    ],
    "mobilenetv3_small_050": [("conv_stem", 0), ("blocks.0", 1), ("blocks.3", 3), ("blocks.5", 4), ("conv_head", 4)],
}


@pytest.mark.parametrize("name", LANDMARKS)
def test_stages_begin_and_end_where_the_resolution_changes(name: str, wild_network: NetworkMaker) -> None:
    stages = stages_of(wild_network(name))
    assert [stage.name for stage in stages] == FIVE
    assert {landmark: place_of(landmark, stages) for landmark, _ in LANDMARKS[name]} == dict(LANDMARKS[name])


@pytest.mark.parametrize("name", LANDMARKS)
def test_every_parameter_is_counted_in_exactly_one_stage(name: str, wild_network: NetworkMaker) -> None:
    network = wild_network(name)
    stages = stages_of(network)
    sizes = [0] * len(stages)
    for parameter_name, parameter in network.named_parameters():
        sizes[place_of(parameter_name, stages)] += parameter.numel()
    assert [stage.num_parameters for stage in stages] == sizes
    modules = [module for stage in stages for module in stage.modules]
    assert len(set(modules)) == len(modules)


def test_a_transformer_of_one_resolution_has_four_nearly_equal_groups(wild_network: NetworkMaker) -> None:
    groups = [
        [name for name in stage.modules if name.startswith("blocks.")] for stage in stages_of(wild_network("test_vit"))
    ]
    assert [len(group) for group in groups] == [0, 2, 2, 1, 1]
    assert [name for group in groups for name in group] == [f"blocks.{block}" for block in range(6)]


def test_a_network_that_tells_no_stages_is_one_stem() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    assert stages_of(network) == (Stage(name="stem", modules=("0", "1"), num_parameters=112),)


def test_a_mark_inside_a_layer_ends_its_stage_behind_that_layer() -> None:
    class Joined(nn.Module):
        """Two layers that a division must not part, since their outputs are added."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.shortcut = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    network = nn.Sequential(nn.Conv2d(3, 4, 1), Joined(), nn.Conv2d(4, 4, 1))
    marks = [("0", 2), ("1.inner", 4), ("2", 8)]
    network.feature_info = [{"module": name, "reduction": reduction} for name, reduction in marks]  # type: ignore[assignment] # as timm's networks have it
    assert [stage.modules for stage in stages_of(network)] == [("0",), ("1",), ("2",)]
