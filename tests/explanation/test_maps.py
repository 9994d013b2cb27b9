"""Every method on every kind of model: one map an image, of its size, for the class that was asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from radpath.data.batches import Batch
from radpath.data.synthetic.marker import draw_marked
from radpath.errors import SettingsError
from radpath.evaluation.explanations import edges_of, share_inside
from radpath.explanation.maps import make_explainer, possible_methods
from radpath.explanation.settings import ExplanationSettings
from radpath.models.classifier import Classifier

ModelMaker = Callable[..., Classifier]
BatchMaker = Callable[..., Batch]

QUICK = {"steps": 4, "window": 0.5}
MODELS: dict[str, dict[str, Any]] = {
    "residual": {"backbone": "test_resnet"},
    "frozen": {"backbone": "test_efficientnet", "freeze": "all"},
    "channels that attend": {"backbone": "test_resnet", "attention": "cbam"},
    "attention pooling": {"backbone": "simple_cnn", "pooling": "attention"},
    "one grey channel": {"backbone": "simple_cnn", "grey": "sum"},
    "a deep head": {"backbone": "simple_cnn", "head": {"kind": "conv_skip"}},
    "classes with an order": {"backbone": "simple_cnn", "link": "ordinal"},
}


def explainer_of(model: Classifier, method: str) -> Any:
    return make_explainer(model, ExplanationSettings.model_validate({"method": method, **QUICK}))


@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
def test_every_convolutional_model_is_explained_on_padded_grey_images(
    make_model: ModelMaker, make_batch: BatchMaker, settings: dict[str, Any]
) -> None:
    model = make_model(**settings)
    batch = make_batch([(40, 64), (64, 33)], canvas=64, channels=1)
    methods = possible_methods(model)
    assert methods == ("grad_cam", "grad_cam_pp", "hires_cam", "integrated_gradients", "occlusion")
    for method in methods:
        maps = list(explainer_of(model, method).maps(batch, [0, 2]))
        assert [found.shape for found in maps] == [(40, 64), (64, 33)], method
        assert all(found.dtype == np.float32 and np.isfinite(found).all() for found in maps)
    assert np.ptp(maps[0]) > 0


def test_a_map_depends_on_the_class_and_on_no_other_image(make_model: ModelMaker, make_batch: BatchMaker) -> None:
    explainer = explainer_of(make_model("test_resnet"), "hires_cam")
    alone, beside = make_batch([(50, 40)], canvas=64), make_batch([(50, 40), (64, 64)], canvas=64)
    (first,), (second, _) = explainer.maps(alone, [1]), explainer.maps(beside, [1, 0])
    assert np.array_equal(first, second)
    (other,) = explainer.maps(alone, [2])
    assert np.abs(first - other).max() > 0.1 * np.abs(first).max()


def test_the_same_again_is_the_same_to_the_last_bit(make_model: ModelMaker, make_batch: BatchMaker) -> None:
    model, batch = make_model("simple_cnn"), make_batch([(40, 50)], canvas=64)
    for method in possible_methods(model):
        (first,), (second,) = (explainer_of(model, method).maps(batch, [0]) for _ in range(2))
        assert np.array_equal(first, second)


def test_a_transformer_says_which_methods_work(make_model: ModelMaker) -> None:
    model = make_model("test_vit")
    with pytest.raises(
        SettingsError,
        match=r"^explanation.method is 'grad_cam', which needs feature maps; backbone 'test_vit' has none: "
        r"choose one of integrated_gradients, occlusion, attention_rollout$",
    ):
        explainer_of(model, "grad_cam")
    with pytest.raises(SettingsError, match=r"needs attention between all patches of an image; backbone 'simple_cnn'"):
        explainer_of(make_model("simple_cnn"), "attention_rollout")


def test_the_stage_behind_a_map_is_told(make_model: ModelMaker) -> None:
    model = make_model("simple_cnn")
    assert explainer_of(model, "grad_cam").layer_of(64, 90) == "stage3"
    assert explainer_of(model, "grad_cam").layer_of(30, 90) == "stage2"
    assert explainer_of(model, "occlusion").layer_of(64, 90) == ""


def test_evidence_lies_in_the_marker_that_decides(make_model: ModelMaker) -> None:
    torch.manual_seed(0)
    model = make_model("simple_cnn", classes=2)
    learn_markers(model.train())
    held_out = draw_marked(16, side_px=32, marker_px=12, seed=1)
    sizes, labels = torch.full((16,), 32), torch.from_numpy(held_out.labels)
    batch = Batch(
        images=as_numbers(held_out.images), heights_px=sizes, widths_px=sizes, labels=labels, positions=np.arange(16)
    )
    chance = float(held_out.markers.mean())
    for method, least in (("grad_cam", 1.5), ("hires_cam", 1.5), ("integrated_gradients", 3.0)):
        maps = explainer_of(model, method).maps(batch, labels.tolist())
        shares = [share_inside(found, marker) or 0.0 for found, marker in zip(maps, held_out.markers, strict=True)]
        assert np.mean(shares) > least * chance, method
    # What needs no network finds no more than chance: the marker has no stronger edges than what lies around it.
    drawn = zip(held_out.images, held_out.markers, strict=True)
    assert np.mean([share_inside(edges_of(image), marker) for image, marker in drawn]) < 1.5 * chance


def learn_markers(model: Classifier) -> None:
    drawn = draw_marked(800, side_px=32, marker_px=12)
    images, labels, sizes = as_numbers(drawn.images), torch.from_numpy(drawn.labels), torch.full((32,), 32)
    descend = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(100):
        some = torch.arange(32) + 32 * (step % 25)
        descend.zero_grad()
        loss = nn.functional.cross_entropy(model(images[some], sizes, sizes), labels[some])
        loss.backward()  # type: ignore[no-untyped-call] # PyTorch has no type here
        descend.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.2


def as_numbers(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
