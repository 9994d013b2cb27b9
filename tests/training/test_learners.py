"""The fast way and the slow way give the same logits for the same draws, and each is taken where it belongs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import NUM_VIEWS
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.learners import FeatureLearner, ImageLearner, build_learner

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]


def flips_only(flips: str) -> AugmentationSettings:
    none = dict.fromkeys(("rotation_deg", "scale", "shift", "brightness", "contrast"), 0.0)
    return AugmentationSettings.model_validate({"flips": flips, **none})


@pytest.mark.parametrize("size", ["native", "fixed"])
@pytest.mark.parametrize("flips", ["none", "horizontal", "dihedral"])
def test_kept_features_give_the_logits_of_the_images(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric, flips: str, size: str
) -> None:
    model = make_model(freeze="all", dropout=0.0)
    source, augmentation = bright_and_dark(14, size=size, batch_size=4), flips_only(flips)
    fast = build_learner(model, source, augmentation, seed=3, fabric=fabric)
    slow = ImageLearner(model, source, augmentation, seed=3)
    assert isinstance(fast, FeatureLearner)
    assert fast.features is not None
    assert len(fast.features) == NUM_VIEWS[augmentation.flips]
    for epoch in (1, 2, 3):
        pairs = list(zip(fast.batches(epoch=epoch), slow.batches(epoch=epoch), strict=True))
        assert sorted(np.concatenate([one for one, _ in pairs])) == list(range(14))
        for quick, patient in pairs:
            assert quick.tolist() == patient.tolist()
            assert fast.labels(quick).tolist() == slow.labels(quick).tolist() == source.labels[quick].tolist()
            found = fast.logits(fast.module, quick, epoch=epoch)
            expected = slow.logits(slow.module, quick, epoch=epoch)
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
        learner = build_learner(make_model(freeze=freeze), source, augmentation, seed=0, fabric=fabric)
        assert isinstance(learner, kind)
        assert learner.all_labels.tolist() == [0, 1, 0, 1]


def test_every_epoch_has_other_batches_and_other_views(bright_and_dark: SourceMaker, make_model: ModelMaker) -> None:
    source = bright_and_dark(16, batch_size=4)
    learner = ImageLearner(make_model(freeze="all", dropout=0.0), source, flips_only("dihedral"), seed=0)
    first, second = (np.concatenate(learner.batches(epoch=epoch)).tolist() for epoch in (1, 2))
    assert first != second
    everyone = np.arange(16)
    one, other = (learner.logits(learner.module, everyone, epoch=epoch) for epoch in (1, 2))
    assert not torch.allclose(one, other)


def test_the_head_alone_learns_where_features_are_kept(
    make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric
) -> None:
    model = make_model(freeze="all")
    learner = build_learner(model, bright_and_dark(4), flips_only("none"), seed=0, fabric=fabric)
    assert [id(parameter) for parameter in learner.module.parameters()] == [id(p) for p in model.head.parameters()]
