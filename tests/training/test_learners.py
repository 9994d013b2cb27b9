"""The fast way and the slow way give the same logits for the same draws, and each is taken where it belongs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.learners import Drawing, FeatureLearner, ImageLearner, Learner, build_learner
from radpath.training.mixing import MixSettings

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


@pytest.mark.parametrize("sampling", ["natural", "balanced"])
@pytest.mark.parametrize("size", ["native", "fixed"])
@pytest.mark.parametrize("flips", ["none", "horizontal", "dihedral"])
def test_kept_features_give_the_logits_of_the_images(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric, flips: str, size: str, sampling: str
) -> None:
    model = make_model(freeze="all", dropout=0.0)
    source, augmentation = bright_and_dark(14, size=size, batch_size=4), flips_only(flips)
    fast = build_learner(model, source, drawing(augmentation, seed=3, sampling=sampling), fabric=fabric)
    slow = ImageLearner(model, source, drawing(augmentation, seed=3, sampling=sampling))
    assert isinstance(fast, FeatureLearner)
    assert fast.features is not None
    assert len(fast.features) == NUM_VIEWS[augmentation.flips]
    for epoch in (1, 2, 3):
        pairs = list(zip(fast.batches(epoch=epoch), slow.batches(epoch=epoch), strict=True))
        assert sorted(np.concatenate([one for one, _ in pairs]) % 14) == list(range(14))
        for quick, patient in pairs:
            assert quick.tolist() == patient.tolist()
            assert truth_of(fast, quick) == truth_of(slow, quick) == source.labels[quick % 14].tolist()
            found, expected = (logits_of(learner, quick, epoch=epoch) for learner in (fast, slow))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_features_are_kept_only_where_that_gives_the_same_numbers(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    source = bright_and_dark(4)
    for freeze, augmentation, kind in [
        ("all", flips_only("horizontal"), FeatureLearner),
        ("all", AugmentationSettings(), ImageLearner),
        ("none", flips_only("horizontal"), ImageLearner),
    ]:
        learner = build_learner(make_model(freeze=freeze), source, drawing(augmentation), fabric=fabric)
        assert isinstance(learner, kind)
        assert learner.all_labels.tolist() == [0, 1, 0, 1]


def test_every_epoch_has_other_batches_and_other_views(bright_and_dark: SourceMaker, make_model: ModelMaker) -> None:
    source = bright_and_dark(16, batch_size=4)
    learner = ImageLearner(make_model(freeze="all", dropout=0.0), source, drawing(flips_only("dihedral")))
    first, second = (np.concatenate(learner.batches(epoch=epoch)).tolist() for epoch in (1, 2))
    assert first != second
    everyone = np.arange(16)
    one, other = (logits_of(learner, everyone, epoch=epoch) for epoch in (1, 2))
    assert not torch.allclose(one, other)


def test_the_head_alone_learns_where_features_are_kept(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    model = make_model(freeze="all")
    learner = build_learner(model, bright_and_dark(4), drawing(flips_only("none")), fabric=fabric)
    assert [id(parameter) for parameter in learner.module.parameters()] == [id(p) for p in model.head.parameters()]


def test_copies_of_an_image_are_augmented_in_other_ways(make_model: ModelMaker, bright_and_dark: SourceMaker) -> None:
    source = bright_and_dark(4)
    learner = ImageLearner(make_model(), source, drawing(AugmentationSettings()))
    one, same, other = (learner.examples(np.array([ticket]), epoch=1).inputs[0] for ticket in (2, 2, 2 + 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_images_are_drawn_from_seed_epoch_and_batch(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric, kind: str
) -> None:
    mix = MixSettings.model_validate({"kind": kind, "alpha": 1.0})
    plan = drawing(flips_only("none"), mix=mix)
    learner = build_learner(make_model(freeze="all"), bright_and_dark(8), plan, fabric=fabric)
    assert isinstance(learner, ImageLearner)  # kept features cannot be mixed
    everyone = np.arange(8)
    first, again, other = (learner.examples(everyone, epoch=epoch) for epoch in (1, 1, 2))
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.targets, other.targets)
    assert first.targets.sum(1).tolist() == pytest.approx([1.0] * 8)
    assert ((first.targets > 0) & (first.targets < 1)).any()
