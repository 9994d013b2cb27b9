"""Frozen is frozen, the head follows the seed, and pixels are normalised inside the model."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from radpath.errors import SettingsError
from radpath.models import torchvision_compat
from radpath.models.backbones import Backbone
from radpath.models.classifier import Classifier, ModelSettings, build_classifier, changing_tensors, checksum
from radpath.models.heads import HeadSettings
from radpath.models.weights import LoadReport
from radpath.settings import parse_settings

torchvision_compat.ensure_importable()
import timm  # noqa: E402 - cannot be imported before, where torchvision's compiled part does not load

HEIGHTS, WIDTHS = torch.tensor([32, 40, 64]), torch.tensor([64, 33, 20])


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), path)
    return path


@pytest.fixture
def small_settings(weights_file: Path) -> dict[str, Any]:
    return {"backbone": "test_resnet", "weights": "file", "weights_file": weights_file}


def draw_batch(channels: int = 3) -> Tensor:
    return torch.rand(3, channels, 64, 64, generator=torch.Generator().manual_seed(1))


def take_steps(model: Classifier, *, steps: int = 3) -> None:
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=0.01, weight_decay=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = functional.cross_entropy(model(draw_batch(), HEIGHTS, WIDTHS), torch.tensor([0, 1, 2]))
        torch.autograd.backward(loss)
        optimiser.step()


def statistics(model: Classifier) -> list[Tensor]:
    return [b.clone() for name, b in model.backbone.named_buffers() if "running" in name or "tracked" in name]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("norm_statistics", ["frozen", "batch"])
def test_a_frozen_backbone_keeps_every_weight_and_buffer(small_settings: dict[str, Any], norm_statistics: str) -> None:
    settings = ModelSettings(**small_settings, freeze="all", norm_statistics=norm_statistics)  # type: ignore[arg-type] # one of the two
    model = build_classifier(settings, num_classes=3, seed=0)
    before, head, backbone = model.frozen_checksum(), model.head.weight.clone(), checksum(model.backbone)
    take_steps(model)
    assert checksum(model.backbone) == backbone
    assert len(before) == 32
    assert model.frozen_checksum() == before
    assert not torch.equal(model.head.weight, head)


@pytest.mark.parametrize(("norm_statistics", "kept"), [("frozen", "all"), ("batch", "none")])
def test_batch_norm_keeps_its_statistics_unless_told_otherwise(
    small_settings: dict[str, Any], norm_statistics: str, kept: str
) -> None:
    settings = ModelSettings(**small_settings, freeze="none", norm_statistics=norm_statistics)  # type: ignore[arg-type] # one of the two
    model = build_classifier(settings, num_classes=3, seed=0)
    before, weights = statistics(model), [parameter.detach().clone() for parameter in model.backbone.parameters()]
    take_steps(model)
    assert same(statistics(model), before) == (kept == "all")
    assert not any(torch.equal(a, b) for a, b in zip(model.backbone.parameters(), weights, strict=True))
    assert model.frozen_checksum() == ""


def test_training_mode_reaches_what_is_not_frozen(small_settings: dict[str, Any]) -> None:
    frozen = build_classifier(ModelSettings(**small_settings, freeze="all"), num_classes=2, seed=0)
    assert all(module.training for module in frozen.head.modules())
    assert not any(module.training for module in frozen.backbone.modules())
    assert not any(parameter.requires_grad for parameter in frozen.backbone.parameters())
    free = build_classifier(ModelSettings(**small_settings), num_classes=2, seed=0)
    norms = [m for m in free.backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert free.backbone.network.training
    assert not any(module.training for module in free.eval().modules())


def test_in_training_a_model_with_kept_statistics_sees_what_prediction_sees(small_settings: dict[str, Any]) -> None:
    model = build_classifier(ModelSettings(**small_settings, head=HeadSettings(dropout=0)), num_classes=3, seed=0)
    with torch.no_grad():
        training = model.train()(draw_batch(), HEIGHTS, WIDTHS)
        assert torch.equal(model.eval()(draw_batch(), HEIGHTS, WIDTHS), training)


def test_the_head_follows_the_seed_and_leaves_the_global_generator_alone(small_settings: dict[str, Any]) -> None:
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    models = [build_classifier(ModelSettings(**small_settings), num_classes=3, seed=seed) for seed in (4, 4, 5)]
    assert torch.equal(torch.rand(1), expected)
    assert checksum(models[0]) == checksum(models[1]) != checksum(models[2])
    assert not models[0].head.bias.any()


def test_random_weights_follow_the_seed_too() -> None:
    settings = ModelSettings(backbone="test_resnet", weights="none", norm_statistics="batch")
    models = [build_classifier(settings, num_classes=2, seed=seed) for seed in (4, 4, 5)]
    assert checksum(models[0]) == checksum(models[1]) != checksum(models[2])


def test_random_weights_with_statistics_of_nothing_are_refused() -> None:
    message = (
        r"^test: model: model\.weights = 'none' starts from random weights, .*; set model\.norm_statistics = 'batch'$"
    )
    with pytest.raises(SettingsError, match=message.replace("test: model: ", "test: ")):
        parse_settings(ModelSettings, {"backbone": "test_resnet", "weights": "none"}, source="test")


def test_pixels_are_normalised_as_the_weights_want_it(small_settings: dict[str, Any]) -> None:
    model = build_classifier(ModelSettings(**small_settings), num_classes=3, seed=0).eval()
    images, whole = draw_batch(), torch.tensor([64, 64, 64])
    config = timm.create_model("test_resnet").default_cfg
    normal = torch.stack([(images[:, c] - config["mean"][c]) / config["std"][c] for c in range(3)], dim=1)
    with torch.no_grad():
        expected = functional.linear(model.backbone.network(normal), model.head.weight)
        torch.testing.assert_close(model(images, whole, whole), expected, rtol=1e-5, atol=1e-6)
    assert not {"mean", "std"} & set(model.state_dict())


def test_grey_images_are_repeated_to_three_channels(small_settings: dict[str, Any]) -> None:
    model = build_classifier(ModelSettings(**small_settings), num_classes=3, seed=0).eval()
    grey = draw_batch(channels=1)
    with torch.no_grad():
        assert torch.equal(model(grey, HEIGHTS, WIDTHS), model(grey.repeat(1, 3, 1, 1), HEIGHTS, WIDTHS))


def test_what_lies_outside_the_images_changes_no_logit(bundled_backbone: Backbone) -> None:
    model = Classifier(bundled_backbone, ModelSettings(), num_classes=3).eval()
    images = draw_batch()
    with torch.no_grad():
        logits = model(images, HEIGHTS, WIDTHS)
        for place, (height, width) in enumerate(zip(HEIGHTS, WIDTHS, strict=True)):
            images[place, :, height:] = 0.7
            images[place, :, :, width:] = 0.1
        torch.testing.assert_close(model(images, HEIGHTS, WIDTHS), logits, rtol=1e-5, atol=1e-6)


def test_only_what_training_may_change_is_kept_after_each_epoch(small_settings: dict[str, Any]) -> None:
    frozen = build_classifier(ModelSettings(**small_settings, freeze="all"), num_classes=3, seed=0)
    assert set(changing_tensors(frozen)) == {"head.weight", "head.bias"}
    free = build_classifier(ModelSettings(**small_settings), num_classes=3, seed=0)
    assert set(changing_tensors(free)) == set(free.state_dict())


def test_a_checksum_sees_weights_buffers_and_names() -> None:
    layer = nn.BatchNorm2d(3)
    before = checksum(layer)
    assert checksum(nn.BatchNorm2d(3)) == before
    assert layer.running_mean is not None
    layer.running_mean[1] += 1e-7
    assert checksum(layer) != before
    assert checksum(nn.Sequential(nn.BatchNorm2d(3))) != before
    assert len(checksum(nn.Module())) == 32


@pytest.mark.parametrize("normalisation", ["weights", "imagenet", "caffe", "none"])
def test_pixels_are_normalised_as_the_setting_names_it(small_settings: dict[str, Any], normalisation: str) -> None:
    settings = ModelSettings.model_validate({**small_settings, "normalisation": normalisation})
    model = build_classifier(settings, num_classes=2, seed=0)
    seen: list[Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = draw_batch()
    model.features(images, HEIGHTS, WIDTHS)
    red, green, blue = (images[:, channel] for channel in range(3))
    expected = {
        "weights": [(c - m) / s for c, m, s in zip((red, green, blue), *_statistics_of(model.backbone), strict=True)],
        "imagenet": [(red - 0.485) / 0.229, (green - 0.456) / 0.224, (blue - 0.406) / 0.225],
        "caffe": [255 * blue - 103.939, 255 * green - 116.779, 255 * red - 123.68],
        "none": [red, green, blue],
    }[normalisation]
    torch.testing.assert_close(seen[0], torch.stack(expected, dim=1), rtol=1e-5, atol=1e-4)


def _statistics_of(backbone: Backbone) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return backbone.mean, backbone.std


def tensors_by_stage(model: Classifier) -> list[dict[str, Tensor]]:
    groups: list[dict[str, Tensor]] = [{} for _ in range(len(model.stages) + 1)]
    for name, tensor in model.state_dict().items():
        groups[model.stage_index(name)][name] = tensor.clone()
    return groups


@pytest.mark.parametrize("num_learning", [1, 3])
def test_top_n_keeps_the_weights_and_statistics_of_all_other_stages(
    small_settings: dict[str, Any], num_learning: int
) -> None:
    settings = ModelSettings(**small_settings, freeze=f"top-{num_learning}", norm_statistics="batch")
    model = build_classifier(settings, num_classes=3, seed=0)
    before, checked = tensors_by_stage(model), model.frozen_checksum()
    take_steps(model)
    frozen = 5 - num_learning
    for place, (old, new) in enumerate(zip(before, tensors_by_stage(model), strict=True)):
        assert [torch.equal(old[name], new[name]) for name in old] == [place < frozen] * len(old), place
    assert model.frozen_checksum() == checked
    assert set(changing_tensors(model)) == {name for group in before[frozen:] for name in group}
    assert model.frozen_stages == model.fixed_stages == frozen
    assert model.learning_sentence().endswith("stage4 and the head learn")


def test_pooling_learns_with_the_head_while_everything_else_is_frozen(small_settings: dict[str, Any]) -> None:
    settings = ModelSettings(**small_settings, freeze="all", pooling="attention")
    model = build_classifier(settings, num_classes=3, seed=0)
    take_steps(model)
    assert set(changing_tensors(model)) == {"backbone.network.global_pool.query", "head.weight", "head.bias"}
    assert model.stage_index("backbone.network.global_pool.query") == model.stage_index("head.bias") == 5
    assert model.backbone.network.get_parameter("global_pool.query").any()
    assert not model.features_are_fixed
    assert model.learning_sentence() == "pooling and the head learn"


def test_features_are_fixed_only_where_nothing_in_front_of_the_head_learns(small_settings: dict[str, Any]) -> None:
    fixed = {
        freeze: build_classifier(ModelSettings(**small_settings, freeze=freeze), num_classes=2, seed=0)
        for freeze in ("all", "freezeall", "top-1", "none")
    }
    assert {freeze: model.features_are_fixed for freeze, model in fixed.items()} == {
        "all": True,
        "freezeall": True,
        "top-1": False,
        "none": False,
    }
    assert [fixed[freeze].learning_sentence() for freeze in ("all", "none")] == ["the head learns", "everything learns"]
    assert "left BatchNorm" in fixed["freezeall"].freeze_note
    fixed["all"].plan_thaw(1)
    assert not fixed["all"].features_are_fixed


def test_stages_thaw_from_the_last_and_keep_their_place_among_what_changes(small_settings: dict[str, Any]) -> None:
    model = build_classifier(
        ModelSettings(**small_settings, freeze="top-1", norm_statistics="batch"), num_classes=3, seed=0
    )
    model.plan_thaw(2)
    changing, checked = set(changing_tensors(model)), model.frozen_checksum()
    assert model.learning_sentence() == "stage4 and the head learn, later stage3, stage2 too"
    for thawed in (0, 1, 2, 1):  # and back, as a run that is resumed may begin anywhere
        model.thaw(thawed)
        before = tensors_by_stage(model)
        take_steps(model, steps=1)
        learned = [
            any(not torch.equal(old[name], new[name]) for name in old)
            for old, new in zip(before, tensors_by_stage(model), strict=True)
        ]
        assert learned == [place >= 4 - thawed for place in range(6)]
        assert model.frozen_stages == 4 - thawed
        assert set(changing_tensors(model)) == changing
        assert model.frozen_checksum() == checked
    model.thaw(9)
    assert model.frozen_stages == model.fixed_stages == 0
    assert model.frozen_checksum() == ""


def test_a_name_that_the_model_does_not_have_has_no_stage(small_settings: dict[str, Any]) -> None:
    model = build_classifier(ModelSettings(**small_settings), num_classes=2, seed=0)
    assert model.stage_index("backbone.network.conv1.0.weight") == 0
    assert model.stage_index("backbone.network.layer4.0.bn1.running_mean") == 4
    with pytest.raises(KeyError, match="layer9"):
        model.stage_index("backbone.network.layer9.weight")


def test_a_parameter_that_never_learned_does_not_begin_to() -> None:
    class Fixed(nn.Module):
        """A network with constants among its parameters, as some transformers have for their positions."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 1)
            self.places = nn.Parameter(torch.ones(4), requires_grad=False)

        def forward(self, images: Tensor) -> Tensor:
            pooled: Tensor = self.layer(images).mean((2, 3)) + self.places
            return pooled

    report = LoadReport(source="none", origin="random", sha256="", loaded=0, left_over=())
    backbone = Backbone(Fixed(), name="fixed", report=report, config={"mean": (0.5,) * 3, "std": (0.5,) * 3})
    settings = ModelSettings(weights="none", norm_statistics="batch", freeze="all")
    model = Classifier(backbone, settings, num_classes=2)
    model.thaw(1)
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == {
        "backbone.network.places"
    }


def test_random_weights_may_keep_their_statistics_where_all_of_them_are_frozen() -> None:
    for freeze in ("all", "freezeall"):
        assert ModelSettings(weights="none", freeze=freeze).norm_statistics == "frozen"
    with pytest.raises(ValueError, match=r"set model\.norm_statistics = 'batch'"):
        ModelSettings(weights="none", freeze="top-1")
