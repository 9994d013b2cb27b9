"""Files of other publishers, made as these make them: with torchvision's networks and the wrappers around them."""

import functools
import importlib
import re
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import WeightsError
from radpath.models import torchvision_compat
from radpath.models.weight_layouts import LAYOUTS, Reading, read_layout
from radpath.models.weights import fill

torchvision_compat.ensure_importable()
import timm  # noqa: E402 - cannot be imported before, where torchvision's compiled part does not load


@functools.cache
def published(name: str) -> nn.Module:
    """A torchvision network in which every number is drawn, also the statistics."""
    options = {"aux_logits": True, "init_weights": False} if name == "inception_v3" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        # It comes with timm, and has no types.
        network: nn.Module = getattr(importlib.import_module("torchvision.models"), name)(weights=None, **options)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for numbers in (module.weight, module.bias, module.running_mean, module.running_var):
                    assert numbers is not None
                    numbers.data.uniform_(0.5, 1.5)
    return network.eval()


def wrapped_as_radimagenet(network: nn.Module) -> dict[str, Tensor]:
    """All children but the last in a row, below "backbone"; the auxiliary branch was never made."""
    children = [child for name, child in network.named_children() if name != "AuxLogits"]
    whole = nn.Module()
    whole.backbone = nn.Sequential(*children[:-1])
    return whole.state_dict()


def wrapped_as_kimianet(network: nn.Module) -> dict[str, Tensor]:
    """The features and their pooling in a row, below "model", beside "fc_4" for 30 classes, trained on several GPUs."""
    whole = nn.Module()
    whole.model = nn.Sequential(network.get_submodule("features"), nn.AdaptiveAvgPool2d(1))
    whole.fc_4 = nn.Linear(1024, 30)
    return {f"module.{name}": tensor for name, tensor in whole.state_dict().items()}


def dotted(network: nn.Module) -> dict[str, Tensor]:
    return {
        re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", name): tensor
        for name, tensor in network.state_dict().items()
    }


def plain(network: nn.Module) -> dict[str, Tensor]:
    return network.state_dict()


def read(tensors: Mapping[str, Tensor], network: nn.Module, **how: str) -> Reading:
    return read_layout(tensors, network, classifier="fc", origin="the file", **how)


FILES: list[tuple[str, Callable[[nn.Module], dict[str, Tensor]], str, int, int]] = [
    # network, how it is published, the layout that is found, tensors left over, side in pixels
    ("resnet50", wrapped_as_radimagenet, "radimagenet names behind 'backbone.'", 0, 32),
    ("densenet121", wrapped_as_radimagenet, "radimagenet names behind 'backbone.'", 0, 32),
    ("inception_v3", wrapped_as_radimagenet, "radimagenet names behind 'backbone.'", 0, 96),
    ("densenet121", wrapped_as_kimianet, "kimianet names behind 'module.model.'", 2, 32),
    ("densenet121", dotted, "torchvision names", 2, 32),
    ("resnet18", plain, "timm names", 2, 32),
    ("inception_v3", plain, "timm names", 16, 96),
]


@pytest.mark.parametrize(("name", "publish", "words", "num_left", "side_px"), FILES)
def test_a_published_file_gives_the_features_of_the_network_it_was_made_with(
    name: str, publish: Callable[[nn.Module], dict[str, Tensor]], words: str, num_left: int, side_px: int
) -> None:
    source, network = published(name), timm.create_model(name, num_classes=0).eval()
    tensors = publish(source)
    classifier = str(network.default_cfg["classifier"])
    reading = read_layout(tensors, network, classifier=classifier, origin="the file")
    assert (reading.words, len(reading.left_over)) == (words, num_left)
    assert sorted([*reading.used.values(), *reading.left_over]) == sorted(tensors)
    fill(network, tensors, reading)
    for mine, theirs in reading.used.items():
        assert torch.equal(network.state_dict()[mine], tensors[theirs])
    image = torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(image), features_of(source, image), rtol=1e-4, atol=1e-4)


def features_of(source: nn.Module, image: Tensor) -> Tensor:
    """What the classifier of a torchvision network is given."""
    seen: list[Tensor] = []
    last = source.get_submodule("classifier" if hasattr(source, "classifier") else "fc")
    if hasattr(source, "transform_input"):
        vars(source)["transform_input"] = False
    hook = last.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    source(image)
    hook.remove()
    return seen[0]


def test_kimianet_pools_before_the_last_relu_and_timm_behind_it() -> None:
    """Which the guide says; it is the one way in which the features differ."""
    source, network = published("densenet121"), timm.create_model("densenet121", num_classes=0).eval()
    tensors = wrapped_as_kimianet(source)
    fill(network, tensors, read_layout(tensors, network, classifier="classifier", origin="the file"))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 3 - 1
    with torch.no_grad():
        maps = source.get_submodule("features")(image)
        torch.testing.assert_close(network(image), functional.relu(maps).mean((2, 3)), rtol=1e-4, atol=1e-4)


def made_backbone() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def made_tensors(prefix: str = "", seed: int = 3) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {
        f"{prefix}{name}": torch.rand(tensor.shape, generator=random)
        for name, tensor in made_backbone().state_dict().items()
        if tensor.is_floating_point()
    }


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "model.", "encoder.", "state_dict.", "state_dict.module.", "model_state_dict.model.backbone."],
)
def test_the_usual_wrappers_are_seen_through(prefix: str) -> None:
    tensors = made_tensors(prefix)
    reading = read(
        {**tensors, f"{prefix}fc.bias": torch.zeros(2), "optimizer.momentum": torch.zeros(1)}, made_backbone()
    )
    assert reading.used == {name.removeprefix(prefix): name for name in tensors}
    assert reading.left_over == tuple(sorted([f"{prefix}fc.bias", "optimizer.momentum"]))
    assert reading.prefix == prefix


def test_a_classifier_may_stand_outside_the_wrapper() -> None:
    reading = read({**made_tensors("encoder."), "fc.weight": torch.zeros(2, 4)}, made_backbone())
    assert reading.left_over == ("fc.weight",)


def test_two_networks_in_one_file_are_refused_until_one_is_chosen() -> None:
    student, teacher = made_tensors("model."), made_tensors("encoder.", seed=4)
    both, network = {**student, **teacher}, made_backbone()
    with pytest.raises(
        WeightsError,
        match=r"^the file can be read in 2 ways that fill the backbone's 6 tensors: timm names behind 'model\.' "
        r"\(model\.0\.weight, …\) and timm names behind 'encoder\.' \(encoder\.0\.weight, …\); choose .* --prefix`$",
    ):
        read(both, network)
    reading = read(both, network, prefix="encoder.")
    fill(network, both, reading)
    assert torch.equal(network.state_dict()["0.weight"], teacher["encoder.0.weight"])
    assert reading.left_over == tuple(sorted(student))


def test_a_network_beside_what_nobody_knows_is_refused_until_it_is_chosen() -> None:
    tensors = {**made_tensors("encoder."), "projector.weight": torch.zeros(2, 4)}
    with pytest.raises(WeightsError, match=r"6 of the 6 tensors .*are there, 1 unknown to it \(projector\.weight\); "):
        read(tensors, made_backbone())
    assert read(tensors, made_backbone(), prefix="encoder.").left_over == ("projector.weight",)


def test_a_partial_match_is_refused_with_counts_and_examples() -> None:
    tensors = made_tensors("module.")
    del tensors["module.1.running_var"], tensors["module.0.bias"]
    tensors["module.0.weight"] = torch.zeros(4, 1, 3, 3)
    with pytest.raises(
        WeightsError,
        match=r"^the file does not fit the backbone: read as timm names behind 'module\.', 3 of the 6 tensors that it "
        r"needs are there, 2 missing \(0\.bias, 1\.running_var\), 1 of another shape \(module\.0\.weight: "
        r"4 x 1 x 3 x 3, not 4 x 3 x 3 x 3\); check model\.backbone, or choose",
    ):
        read(tensors, made_backbone())


def test_a_layout_that_is_named_is_the_only_one_tried() -> None:
    tensors = wrapped_as_radimagenet(published("densenet121"))
    network = timm.create_model("densenet121", num_classes=0)
    assert read(tensors, network, layout="radimagenet").layout == "radimagenet"
    with pytest.raises(WeightsError, match=r"^the file does not fit the backbone: read as kimianet names"):
        read({f"model.{name}": tensor for name, tensor in tensors.items()}, network, layout="kimianet")


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_layout_takes_a_file_of_another_network(name: str) -> None:
    with pytest.raises(WeightsError, match=rf"^the file does not fit the backbone: read as {name} names"):
        read(plain(published("resnet18")), timm.create_model("densenet121", num_classes=0), layout=name, prefix="")
