"""After the pass, BatchNorm holds the mean over the batches of an epoch; what is frozen is left alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.models.classifier import Classifier
from radpath.training.learners import Drawing, ImageLearner
from radpath.training.mixing import MixSettings
from radpath.training.norm_statistics import renew_statistics

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]


def learner_of(model: Classifier, source: ImageSource) -> ImageLearner:
    still = dict.fromkeys(("rotation_deg", "scale", "shift", "brightness", "contrast"), 0.0)
    drawing = Drawing(
        augmentation=AugmentationSettings.model_validate(still), seed=0, sampling="natural", mix=MixSettings()
    )
    return ImageLearner(model, source, drawing)


def test_the_statistics_are_the_mean_over_the_batches(
    make_model: ModelMaker, make_source: SourceMaker, fabric: Fabric
) -> None:
    model = make_model()
    images = list(np.random.default_rng(0).integers(0, 255, size=(20, 32, 32, 1), dtype=np.uint8))
    learner = learner_of(model, make_source(images, [0, 1] * 10))
    norm = model.backbone.network.get_submodule("1")
    norm.get_buffer("running_mean").fill_(100.0)
    expected = []
    for tickets in learner.batches(epoch=3):
        pixels, *_ = learner.examples(tickets, epoch=3).inputs
        values = model.backbone.network.get_submodule("0")((pixels.expand(-1, 3, -1, -1) - model.mean) / model.std)
        expected.append(values.mean(dim=(0, 2, 3)).detach())
    renew_statistics(model, learner, epoch=3, seed=0, fabric=fabric)
    torch.testing.assert_close(norm.get_buffer("running_mean"), torch.stack(expected).mean(0), atol=1e-4, rtol=1e-3)
    assert norm.momentum == pytest.approx(0.1)


def test_frozen_statistics_stay(make_model: ModelMaker, bright_and_dark: SourceMaker, fabric: Fabric) -> None:
    model = make_model(norm_statistics="frozen", weights="bundled")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    renew_statistics(model, learner_of(model, bright_and_dark(6)), epoch=1, seed=0, fabric=fabric)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
