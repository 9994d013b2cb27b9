"""The fast way and the slow way give the same logits for the same draws, whatever is frozen and however it is drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.device import DeviceSettings, connect
from radpath.training.feature_cache import FeatureCache
from radpath.training.learners import Drawing, FeatureLearner, ImageLearner, Learner, build_learner
from radpath.training.looks import flipped_look
from radpath.training.mixing import MixSettings
from radpath.training.prediction import features_of_looks

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]


def flips_only(flips: str) -> AugmentationSettings:
    none = dict.fromkeys(("rotation_deg", "scale", "shift", "brightness", "contrast"), 0.0)
    return AugmentationSettings.model_validate({"flips": flips, **none})


def drawing(augmentation: AugmentationSettings, *, seed: int = 0, **values: Any) -> Drawing:
    return Drawing(augmentation=augmentation, seed=seed, **{"sampling": "natural", "mix": MixSettings(), **values})


def logits_of(learner: Learner, tickets: np.ndarray, *, epoch: int) -> torch.Tensor:
    logits: torch.Tensor = learner.module(*learner.examples(tickets, epoch=epoch).inputs)
    return logits


def truth_of(learner: Learner, tickets: np.ndarray) -> list[int]:
    labels: list[int] = learner.examples(tickets, epoch=1).targets.tolist()
    return labels


@pytest.mark.parametrize("size", ["native", "fixed"])
@pytest.mark.parametrize("freeze", ["all", "top-1"])
@pytest.mark.parametrize(
    ("augmentation", "kept_views", "sampling"),
    [
        (flips_only("none"), 0, "natural"),
        (flips_only("horizontal"), 0, "balanced"),
        (flips_only("dihedral"), 0, "natural"),
        (flips_only("dihedral"), 2, "natural"),
        (AugmentationSettings(), 3, "balanced"),
    ],
    ids=["none", "horizontal", "dihedral", "kept flips", "kept views"],
)
def test_kept_activations_give_the_logits_of_the_images(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    freeze: str,
    augmentation: AugmentationSettings,
    kept_views: int,
    size: str,
    sampling: str,
) -> None:
    model = make_model(freeze=freeze, dropout=0.0).eval()
    source = bright_and_dark(14, size=size, batch_size=4)
    plan = drawing(augmentation, seed=3, sampling=sampling, kept_views=kept_views)
    fast = build_learner(model, source, plan, cache=FeatureCache(tmp_path, model, fabric=fabric))
    slow = build_learner(model, source, plan)
    assert isinstance(fast, FeatureLearner)
    assert isinstance(slow, ImageLearner)
    fast.batches(epoch=1)
    assert len(list(tmp_path.iterdir())) == (kept_views or NUM_VIEWS[augmentation.flips])
    for epoch in (1, 2, 3):
        pairs = list(zip(fast.batches(epoch=epoch), slow.batches(epoch=epoch), strict=True))
        assert sorted(np.concatenate([one for one, _ in pairs]) % 14) == list(range(14))
        for quick, patient in pairs:
            assert quick.tolist() == patient.tolist()
            assert truth_of(fast, quick) == truth_of(slow, quick) == source.labels[quick % 14].tolist()
            found, expected = (logits_of(learner, quick, epoch=epoch) for learner in (fast, slow))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_every_epoch_has_other_batches_and_other_views(bright_and_dark: SourceMaker, make_model: ModelMaker) -> None:
    source = bright_and_dark(16, batch_size=4)
    learner = ImageLearner(make_model(freeze="all", dropout=0.0), source, drawing(flips_only("dihedral")))
    first, second = (np.concatenate(learner.batches(epoch=epoch)).tolist() for epoch in (1, 2))
    assert first != second
    everyone = np.arange(16)
    one, other = (logits_of(learner, everyone, epoch=epoch) for epoch in (1, 2))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("freeze", ["all", "top-1"])
def test_what_learns_is_trained_and_the_frozen_part_is_not_run(
    tmp_path: Path,
    make_model: ModelMaker,
    bright_and_dark: SourceMaker,
    fabric: Fabric,
    monkeypatch: pytest.MonkeyPatch,
    freeze: str,
) -> None:
    model = make_model(freeze=freeze)
    cache = FeatureCache(tmp_path, model, fabric=fabric)
    learner = build_learner(model, bright_and_dark(4), drawing(flips_only("none")), cache=cache)
    batch = learner.batches(epoch=1)[0]
    learning = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert {id(parameter) for parameter in learner.module.parameters() if parameter.requires_grad} == learning
    monkeypatch.setattr(nn.BatchNorm2d, "forward", None)  # the stem has the only one
    assert logits_of(learner, batch, epoch=1).shape == (len(batch), 2)
    with pytest.raises(TypeError):
        model(*ImageLearner(model, bright_and_dark(4), drawing(flips_only("none"))).examples(batch, epoch=1).inputs)


def test_kept_views_return_and_fresh_ones_do_not(make_model: ModelMaker, bright_and_dark: SourceMaker) -> None:
    source, everyone = bright_and_dark(6, size="fixed"), np.arange(6)
    seen = {}
    for kept_views in (0, 2):
        learner = ImageLearner(make_model(), source, drawing(AugmentationSettings(), kept_views=kept_views))
        epochs = [learner.examples(everyone, epoch=epoch).inputs[0] for epoch in range(1, 7)]
        seen[kept_views] = [len({image.numpy().tobytes() for image in images}) for images in zip(*epochs, strict=True)]
    assert seen == {0: [6] * 6, 2: [2] * 6}


def test_copies_of_an_image_are_augmented_in_other_ways(make_model: ModelMaker, bright_and_dark: SourceMaker) -> None:
    source = bright_and_dark(4)
    learner = ImageLearner(make_model(), source, drawing(AugmentationSettings()))
    one, same, other = (learner.examples(np.array([ticket]), epoch=1).inputs[0] for ticket in (2, 2, 2 + 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_images_are_drawn_from_seed_epoch_and_batch(
    make_model: ModelMaker, bright_and_dark: SourceMaker, kind: str
) -> None:
    mix = MixSettings.model_validate({"kind": kind, "alpha": 1.0})
    plan = drawing(flips_only("none"), mix=mix)
    learner = ImageLearner(make_model(freeze="all"), bright_and_dark(8), plan)
    everyone = np.arange(8)
    first, again, other = (learner.examples(everyone, epoch=epoch) for epoch in (1, 1, 2))
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.targets, other.targets)
    assert first.targets.sum(1).tolist() == pytest.approx([1.0] * 8)
    assert ((first.targets > 0) & (first.targets < 1)).any()


@pytest.mark.parametrize("freeze", ["all", "top-1", "none"])
def test_heads_compute_in_32_bits_in_training_as_in_prediction(
    tmp_path: Path, make_model: ModelMaker, bright_and_dark: SourceMaker, freeze: str
) -> None:
    halved = connect(DeviceSettings(device="cpu", precision="bf16-mixed"))
    model, source = make_model(freeze=freeze, dropout=0.0), bright_and_dark(8, size="fixed")
    cache = FeatureCache(tmp_path, model, fabric=halved) if freeze != "none" else None
    learner = build_learner(model, source, drawing(flips_only("none")), cache=cache)
    looks = [flipped_look(source, 0)]
    features = features_of_looks(model, source, looks, fabric=halved, what="looking")[0]
    with torch.no_grad():
        tickets = source.in_order()[0]
        learner.batches(epoch=1)
        exact = model.eval().head(features[tickets])
        with halved.autocast():
            found = logits_of(learner, tickets, epoch=1)
    assert found.dtype == torch.float32
    # In 16 bits a logit would have 3 digits; BatchNorm's statistics are the same, as the model is not training.
    assert torch.allclose(found, exact, atol=1e-6)
