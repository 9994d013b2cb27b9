"""Padding changes nothing, in networks whose parameters are all drawn at random; what cannot be followed is refused."""

import copy
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import huggingface_hub.errors
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from radpath.data.batches import CANVAS_STEP_PX
from radpath.errors import DeviceError, SettingsError, WeightsError
from radpath.models import torchvision_compat
from radpath.models.backbones import Backbone, BackboneSettings, build_backbone
from radpath.models.probes import padding_problem
from radpath.models.valid_area import ValidArea
from radpath.models.weights import LoadReport
from radpath.settings import parse_settings

torchvision_compat.ensure_importable()
import timm  # noqa: E402 - cannot be imported before, where torchvision's compiled part does not load

NetworkMaker = Callable[[str], nn.Module]
CanvasMaker = Callable[..., Tensor]
Size = tuple[int, int]

SYMMETRIC = [  # padding and pooling of every kind, channel attention, layer scales, GRN, no normalisation at all
    "test_resnet",
    "test_efficientnet",
    "test_convnext",
    "test_convnext2",
    "test_byobnet",
    "test_nfnet",
    "test_mambaout",
    "mobilenetv3_small_050",
    "simple_cnn",
]
SYMMETRIC_AND_LARGER = [
    "resnet18",
    "resnet34",
    "resnet50",
    "preact_resnet18",
    "preact_resnet50",
    "resnet50d",
    "seresnet18",
    "convnext_atto",
    "convnextv2_atto",
    "densenet121",
    "mobilenetv3_small_100",
    "efficientnet_b0",
    "ghostnet_050",
    "resnest14d",
]
SAME_AS_IN_TENSORFLOW = ["tf_mobilenetv3_small_minimal_100"]
SAME_AND_LARGER = ["tf_efficientnet_b0", "tf_mixnet_s", "tf_efficientnetv2_b0"]

sizes_px = st.tuples(st.integers(1, 96), st.integers(1, 96))


def slow(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


def next_step(side_px: int) -> int:
    return -(-side_px // CANVAS_STEP_PX) * CANVAS_STEP_PX


def draw_images(sizes: list[Size], *, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(3, height, width, generator=random, dtype=dtype) for height, width in sizes]


def sides_of(images: list[Tensor]) -> tuple[Tensor, Tensor]:
    return torch.tensor([image.shape[1] for image in images]), torch.tensor([image.shape[2] for image in images])


@torch.no_grad()
def follow(network: nn.Module, images: list[Tensor], canvas: Tensor) -> Tensor:
    with ValidArea(canvas, *sides_of(images)):
        features: Tensor = network(canvas)
    return features


def require_equal(one: Tensor, other: Tensor) -> None:
    """Single precision is for the bundled network, whose features are near one; others may magnify its rounding."""
    largest = float(other.abs().max())
    allowed = 1e-5 * max(largest, 1.0) if one.dtype == torch.float32 else 1e-9 * largest
    assert float((one - other).abs().max()) <= allowed


def wrap(network: nn.Module) -> Backbone:
    report = LoadReport(source="none", origin="random", sha256="", loaded=0, left_over=())
    return Backbone(network, name="made", report=report, config={"mean": (0, 0, 0), "std": (1, 1, 1)}).eval()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(sizes_px, min_size=1, max_size=3), extra=st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_a_prediction_of_the_bundled_backbone_does_not_depend_on_batch_mates_or_padding(
    bundled_backbone: Backbone, put_on_canvas: CanvasMaker, sizes: list[Size], extra: Size
) -> None:
    images = draw_images(sizes, dtype=torch.float32)
    heights, widths = sides_of(images)
    canvas = put_on_canvas(
        images,
        height=next_step(int(heights.max())) + extra[0] * CANVAS_STEP_PX,
        width=next_step(int(widths.max())) + extra[1] * CANVAS_STEP_PX,
    )
    with torch.no_grad():
        together = bundled_backbone(canvas, heights, widths)
        for place, image in enumerate(images):
            smallest = put_on_canvas(
                [image], height=next_step(image.shape[1]), width=next_step(image.shape[2]), rubbish=-4.0
            )
            require_equal(together[place], bundled_backbone(smallest, heights[place, None], widths[place, None])[0])


@pytest.mark.parametrize("name", [*SYMMETRIC, *slow(SYMMETRIC_AND_LARGER)])
def test_a_padded_image_gives_what_timm_gives_for_the_image_alone(
    wild_network: NetworkMaker, put_on_canvas: CanvasMaker, name: str
) -> None:
    network = wild_network(name)
    images = draw_images([(33, 96), (64, 47), (95, 34), (70, 71)])
    together = follow(network, images, put_on_canvas(images, height=128, width=96))
    for place, image in enumerate(images):
        with torch.no_grad():
            require_equal(together[place], network(image[None])[0])


@pytest.mark.parametrize("name", [*SAME_AS_IN_TENSORFLOW, *slow(SAME_AND_LARGER)])
def test_with_padding_as_in_tensorflow_it_does_so_at_multiples_of_32(
    wild_network: NetworkMaker, put_on_canvas: CanvasMaker, name: str
) -> None:
    network = wild_network(name)
    images = draw_images([(32, 96), (64, 32), (96, 64)])
    together = follow(network, images, put_on_canvas(images, height=128, width=96))
    for place, image in enumerate(images):
        with torch.no_grad():
            require_equal(together[place], network(image[None])[0])


@pytest.mark.parametrize("name", [*SYMMETRIC, *SAME_AS_IN_TENSORFLOW, *slow([*SYMMETRIC_AND_LARGER, *SAME_AND_LARGER])])
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(sizes_px, min_size=2, max_size=3))
def test_an_image_gives_the_same_on_every_canvas_however_small_it_is(
    wild_network: NetworkMaker, put_on_canvas: CanvasMaker, name: str, sizes: list[Size]
) -> None:
    images = draw_images(sizes)
    together = follow(wild_network(name), images, put_on_canvas(images, height=128, width=96))
    for place, image in enumerate(images):
        smallest = put_on_canvas([image], height=next_step(image.shape[1]), width=96, rubbish=-4.0)
        require_equal(together[place], follow(wild_network(name), [image], smallest)[0])


def test_an_image_that_fills_its_canvas_needs_no_mask(bundled_backbone: Backbone, put_on_canvas: CanvasMaker) -> None:
    images = draw_images([(64, 96), (40, 96)], dtype=torch.float32)
    with torch.no_grad():
        alone = bundled_backbone(images[0][None], torch.tensor([64]), torch.tensor([96]))
        together = bundled_backbone(put_on_canvas(images, height=64, width=96), *sides_of(images))
        require_equal(alone[0], together[0])
        assert torch.equal(alone, bundled_backbone.network(images[0][None]))


@pytest.mark.parametrize("side", [80, 100])
def test_a_fixed_canvas_may_have_any_side(bundled_backbone: Backbone, put_on_canvas: CanvasMaker, side: int) -> None:
    images = draw_images([(side, side), (side, side - 31), (side // 2, side)], dtype=torch.float32)
    heights, widths = sides_of(images)
    with torch.no_grad():
        together = bundled_backbone(put_on_canvas(images, height=side, width=side), heights, widths)
        for place, image in enumerate(images):
            canvas = put_on_canvas([image], height=side, width=side, rubbish=-4.0)
            require_equal(together[place], bundled_backbone(canvas, heights[place, None], widths[place, None])[0])


@pytest.mark.parametrize("name", [*SYMMETRIC, *SAME_AS_IN_TENSORFLOW, *slow([*SYMMETRIC_AND_LARGER, *SAME_AND_LARGER])])
def test_a_network_that_follows_padding_has_no_problem(wild_network: NetworkMaker, name: str) -> None:
    assert padding_problem(wild_network(name)) is None


def test_in_training_the_batch_statistics_are_those_of_the_valid_positions(
    wild_network: NetworkMaker, put_on_canvas: CanvasMaker
) -> None:
    padded, alone = (copy.deepcopy(wild_network("test_resnet")).train() for _ in range(2))
    image = draw_images([(70, 83)])[0]
    canvas = put_on_canvas([image], height=128, width=96)
    require_equal(follow(padded, [image], canvas), alone(image[None]).detach())
    for name, buffer in alone.named_buffers():
        # PyTorch rounds the momentum to single precision.
        torch.testing.assert_close(padded.get_buffer(name), buffer, rtol=1e-6, atol=0)
    assert not torch.equal(
        alone.get_buffer("bn1.running_mean"), wild_network("test_resnet").get_buffer("bn1.running_mean")
    )


def test_a_network_that_does_not_follow_padding_sees_the_canvas_as_it_is(put_on_canvas: CanvasMaker) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    backbone = wrap(network)
    images = draw_images([(20, 30), (32, 9)], dtype=torch.float32)
    canvas = put_on_canvas(images, height=32, width=32)
    assert backbone.padding_problem is not None
    assert torch.equal(backbone(canvas, *sides_of(images)), network(canvas))


@pytest.mark.parametrize(
    ("name", "num_features", "required_size_px"),
    [
        ("test_resnet", 96, None),
        ("mobilenetv3_small_050", 1024, None),  # timm's num_features says 288: a layer follows the pooling
        ("test_vit", 64, 160),
    ],
)
def test_what_is_measured_of_a_backbone(name: str, num_features: int, required_size_px: int | None) -> None:
    backbone = build_backbone(BackboneSettings(backbone=name, weights="none"))
    assert (backbone.num_features, backbone.required_size_px) == (num_features, required_size_px)
    assert backbone.smallest_canvas_px == 32
    side = required_size_px or 32
    features = backbone.eval()(torch.zeros(2, 3, side, side), *[torch.tensor([side, side])] * 2)
    assert features.shape == (2, num_features)


def test_random_weights_are_reported_as_such() -> None:
    backbone = build_backbone(BackboneSettings(backbone="test_resnet", weights="none"))
    assert backbone.report.sentence() == "the backbone starts from random weights"
    assert backbone.name == "test_resnet"
    assert backbone.std == timm.create_model("test_resnet").default_cfg["std"]


def test_the_bundled_weights_want_pixels_of_minus_one_to_one(bundled_backbone: Backbone) -> None:
    assert (bundled_backbone.mean, bundled_backbone.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert bundled_backbone.padding_problem is None
    assert bundled_backbone.report.source == "bundled"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"backbone": "resnet19"},
            r"^model\.backbone is 'resnet19', which timm does not know; did you mean (resnet\d+\w*( or )?)+\?$",
        ),
        ({"backbone": "Zürich"}, r"^model\.backbone is 'Zürich', which timm does not know$"),
        ({"weights": "file"}, r"^model\.weights is 'file', but model\.weights_file is not set$"),
        (
            {"backbone": "simple_cnn", "weights": "hub"},
            r"^model\.weights is 'hub', but nobody publishes weights for 'simple_cnn'; set it to 'none', or to 'file'",
        ),
        ({"backbone": "preact_resnet34"}, r"^model\.weights is 'bundled', but nobody publishes weights for 'preact_"),
        ({"backbone": "preact_resnet17"}, r"^model\.backbone is 'preact_resnet17', .*did you mean preact_resnet1"),
        (
            {"weights_file": "a.safetensors"},
            r"^model\.weights_file is set, but model\.weights is 'bundled'; set it to 'file'$",
        ),
    ],
)
def test_settings_that_name_no_network_or_contradict_each_other_are_refused(
    wrong: dict[str, str], message: str
) -> None:
    settings = parse_settings(BackboneSettings, wrong, source="test")
    with pytest.raises(SettingsError, match=message):
        build_backbone(settings)


def test_the_plain_variant_of_the_bundled_network_is_refused() -> None:
    with pytest.raises(
        WeightsError, match=r"^no weights are bundled for backbone 'efficientnet_lite0', only for 'tf_eff"
    ):
        build_backbone(BackboneSettings(backbone="efficientnet_lite0"))


OFFLINE = [
    huggingface_hub.errors.LocalEntryNotFoundError("An error happened while locating the file.\nPlease check."),
    RuntimeError("Invalid pretrained tag (nonsense) for test_resnet."),
    OSError(),
]


@pytest.mark.parametrize("error", OFFLINE, ids=lambda error: type(error).__name__)
def test_a_hub_that_cannot_be_reached_is_one_line_with_the_ways_out(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> nn.Module:
        raise error

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(WeightsError) as caught:
        build_backbone(BackboneSettings(backbone="test_resnet", weights="hub"))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("timm cannot provide 'test_resnet' with model.weights = 'hub': ")
    assert message.endswith("; without a network use 'bundled', 'file' or 'none'")
    assert (str(error).splitlines() or ["OSError"])[0] in message


def test_the_hub_client_of_this_installation_gives_such_an_error_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"^timm cannot provide 'test_resnet' with model\.weights = 'hub': "):
        build_backbone(BackboneSettings(backbone="test_resnet", weights="hub"))


def test_weights_from_the_hub_are_asked_for_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []
    create = timm.create_model

    def without_network(name: str, *, pretrained: bool, num_classes: int) -> nn.Module:
        asked.append((name, pretrained))
        network: nn.Module = create(name, num_classes=num_classes)
        return network

    monkeypatch.setattr(timm, "create_model", without_network)
    backbone = build_backbone(BackboneSettings(backbone="test_resnet.r160_in1k", weights="hub"))
    assert asked == [("test_resnet.r160_in1k", True)]
    assert backbone.report.origin == "timm hub test_resnet.r160_in1k"
    assert backbone.report.loaded == len(backbone.network.state_dict())


@pytest.mark.parametrize("weights", ["bundled", "none"])
def test_no_network_is_asked_for_unless_the_hub_is_named(
    monkeypatch: pytest.MonkeyPatch, weights: Literal["bundled", "none"]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    build_backbone(BackboneSettings(weights=weights))


def test_weights_from_a_file_leave_out_the_classifier_that_timm_names(tmp_path: Path) -> None:
    whole = timm.create_model("test_resnet", num_classes=7)
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(whole.state_dict(), path)
    backbone = build_backbone(BackboneSettings(backbone="test_resnet", weights="file", weights_file=path))
    assert backbone.report.left_over == ("fc.bias", "fc.weight")
    for name, tensor in backbone.network.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name])


NAMED = ["resnet18", "tf_efficientnet_lite0", "convnext_atto", "simple_cnn"]
NAMED_AND_LARGER = [
    *("resnet34", "resnet50", "resnet101", "resnet152", "densenet121", "inception_v3", "vit_tiny_patch16_224"),
    *("preact_resnet18", "preact_resnet34", "preact_resnet50", "preact_resnet101", "preact_resnet152"),
]


@pytest.mark.parametrize("name", [*NAMED, *slow(NAMED_AND_LARGER)])
def test_every_parameter_of_a_named_backbone_gets_a_gradient_and_its_features_have_the_measured_length(
    name: str,
) -> None:
    backbone = build_backbone(BackboneSettings(backbone=name, weights="none")).train()
    side = backbone.required_size_px or max(backbone.smallest_canvas_px, 64)
    random = torch.Generator().manual_seed(1)
    for gain in (weight for weight in backbone.parameters() if weight.dim() == 1):
        gain.data.uniform_(0.5, 1.5, generator=random)  # some begin at zero, and hide what stands before them
    features = backbone(torch.rand(2, 3, side, side, generator=random), *[torch.tensor([side, side])] * 2)
    assert features.shape == (2, backbone.num_features)
    assert not torch.equal(features[0], features[1])
    (features * torch.randn(features.shape, generator=random)).sum().backward()
    silent = [name for name, weight in backbone.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []
    if name == "vit_tiny_patch16_224":
        assert backbone.padding_problem is not None
    else:
        assert backbone.padding_problem is None


def test_attention_changes_nothing_at_first_and_is_a_part_of_what_learns(put_on_canvas: CanvasMaker) -> None:
    plain, attended = (build_backbone(BackboneSettings(attention=attention)).eval() for attention in ("none", "cbam"))
    images = draw_images([(40, 64), (64, 50)], dtype=torch.float32)
    canvas, sides = put_on_canvas(images, height=64, width=64), sides_of(images)
    with torch.no_grad():
        assert torch.equal(plain(canvas, *sides), attended(canvas, *sides))
    assert attended.report == plain.report
    added = {name for name, _ in attended.named_parameters() if ".attention." in name}
    assert {name.split(".attention.")[0] for name in added} == {f"network.blocks.{stage}" for stage in (1, 2, 4, 6)}


def test_a_network_can_be_built_for_those_who_do_not_have_its_first_weights(tmp_path: Path) -> None:
    asked = BackboneSettings(backbone="test_resnet", weights="file", weights_file=tmp_path / "elsewhere.safetensors")
    assert build_backbone(asked.unfilled()).report.source == "none"
    assert BackboneSettings().unfilled() == BackboneSettings()


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_translation_serves_full_batches_and_leaves_padded_ones_and_hooks_as_written() -> None:
    backbone = build_backbone(BackboneSettings(backbone="simple_cnn", weights="none")).eval()
    images, full = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), torch.full((2,), 64)
    small = torch.full((2,), 40)
    with torch.no_grad():
        written = [backbone(images, sizes, sizes) for sizes in (full, small)]
        backbone.translate("eager")  # the tracing alone, without a compiler
        torch.testing.assert_close(backbone(images, full, full), written[0])
        heard = []
        hook = backbone.network.register_forward_pre_hook(lambda *_: heard.append(1))
        torch.testing.assert_close(backbone(images, small, small), written[1])
        torch.testing.assert_close(backbone.as_written(images, full, full), written[0])
        hook.remove()
    assert len(heard) == 2
    assert set(backbone.state_dict()) == set(
        build_backbone(BackboneSettings(backbone="simple_cnn", weights="none")).state_dict()
    )


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_translation_that_fails_says_what_to_set() -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler here\nand much more")

    backbone = build_backbone(BackboneSettings(backbone="simple_cnn", weights="none"))
    backbone._translated = torch.compile(backbone._features, backend=broken)
    sizes = torch.full((1,), 64)
    with pytest.raises(
        DeviceError, match=r"^device\.compile is on, but torch\.compile cannot .*; set device\.compile ="
    ):
        backbone(torch.rand(1, 3, 64, 64), sizes, sizes)
