"""What is measured of a batch and of a network is what is there."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from radpath.data.batches import ImageSource
from radpath.data.intensity import Intensity
from radpath.models.classifier import Classifier
from radpath.training.evidence import candidates_of_side, gather_evidence, look_at_batch
from radpath.training.loss_settings import LossSettings
from radpath.training.losses import build_loss
from radpath.training.watch import Watch, WatchSettings


@pytest.fixture
def side(make_source: Callable[..., ImageSource]) -> ImageSource:
    """Return a usual image and one of a single level."""
    usual = np.random.default_rng(0).integers(0, 250, (20, 24, 1)).astype(np.uint8)
    return make_source([usual, np.full((20, 24, 1), 51, dtype=np.uint8)], [0, 1])


def test_a_batch_tells_its_images_labels_and_levels(
    side: ImageSource, make_model: Callable[..., Classifier], fabric: Fabric
) -> None:
    candidate = next(candidates_of_side(make_model(), side, fabric))
    facts = look_at_batch(candidate, classes=("x", "y"))
    assert sorted(facts.record_ids) == ["0.png", "1.png"]
    assert facts.labels == {"x": 1, "y": 1}
    assert 0 <= facts.lowest < facts.highest <= 1
    assert facts.odd == ("1.png: all pixels are 0.2",)
    assert facts.not_finite == {}


def test_levels_far_outside_the_range_are_odd(
    side: ImageSource, make_model: Callable[..., Classifier], fabric: Fabric
) -> None:
    far = dataclasses.replace(side, intensity=Intensity(rule="zscore", zero=0.0, one=0.5))
    facts = look_at_batch(next(candidates_of_side(make_model(), far, fabric)), classes=("x", "y"))
    assert any("pixels from" in one for one in facts.odd)


def test_the_ranges_are_those_of_each_stage(
    side: ImageSource, make_model: Callable[..., Classifier], fabric: Fabric
) -> None:
    model = make_model().eval()
    with torch.no_grad():
        next(iter(model.head.parameters())).fill_(7.0)
    loss = build_loss(LossSettings(), side.labels, classes=("x", "y"))
    watch = Watch(WatchSettings(), chance_loss=0.7, from_start=True, skips_steps=False)
    found = gather_evidence(
        "x", watch, candidates_of_side(model, side, fabric), model=model, loss=loss, classes=("x", "y"), fabric=fabric
    )
    assert [one.where for one in found.passed.ranges] == ["stem", "stage1", "head"]
    batch = side.assemble(np.array([0, 1]))
    logits = model(batch.images, batch.heights_px, batch.widths_px)
    assert found.passed.ranges[-1].largest == pytest.approx(float(logits.detach().abs().max()), rel=1e-5)
    assert found.passed.is_finite
    assert [one.largest for one in found.weights if one.where == "head"] == [7.0]
    assert (found.first_loss, found.num_made, found.precision) == (None, 0, "32-true")
    assert not any(module._forward_hooks for module in model.modules())
