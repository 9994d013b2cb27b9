"""Drawing weights anew changes the parts it should, and maps are compared with the trained network's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from radpath.data.batches import Batch
from radpath.explanation.maps import make_explainer
from radpath.explanation.randomised import check_sanity, randomised
from radpath.explanation.settings import ExplanationSettings
from radpath.models.classifier import Classifier, checksum

ModelMaker = Callable[..., Classifier]
BatchMaker = Callable[..., Batch]


def changed_parts(model: Classifier, other: Classifier) -> set[int]:
    pairs = zip(model.named_parameters(), other.parameters(), strict=True)
    return {model.stage_index(name) for (name, weight), drawn in pairs if not torch.equal(weight, drawn)}


def test_parts_become_random_from_the_head_down(make_model: ModelMaker) -> None:
    model = make_model("simple_cnn")
    before = checksum(model)
    steps = [(name, changed_parts(model, other)) for name, other in randomised(model, seed=3)]
    assert steps == [
        ("head", {4}),
        ("stage3", {3, 4}),
        ("stage2", {2, 3, 4}),
        ("stage1", {1, 2, 3, 4}),
        ("stem", {0, 1, 2, 3, 4}),
    ]
    assert checksum(model) == before


def test_new_weights_keep_mean_and_deviation_and_follow_the_seed(make_model: ModelMaker) -> None:
    model = make_model("simple_cnn")
    *_, (_, first) = randomised(model, seed=3)
    *_, (_, again) = randomised(model, seed=3)
    *_, (_, other) = randomised(model, seed=4)
    assert checksum(first) == checksum(again) != checksum(other)
    old, new = (one.state_dict()["backbone.network.stages.2.0.weight"] for one in (model, first))
    assert float(new.std()) == pytest.approx(float(old.std()), rel=0.02)
    assert abs(float(torch.corrcoef(torch.stack([old.flatten(), new.flatten()]))[0, 1])) < 0.02


def test_maps_of_a_network_change_with_its_weights(make_model: ModelMaker, make_batch: BatchMaker) -> None:
    explainer = make_explainer(make_model("test_resnet"), ExplanationSettings(method="hires_cam"))
    batches = [make_batch([(64, 50), (64, 64)], canvas=64), make_batch([(64, 64)], canvas=64, seed=1)]
    found = check_sanity(explainer, batches, [[0, 1], [2]], ["a", "a", "b"], seed=0)
    again = check_sanity(explainer, batches, [[0, 1], [2]], ["a", "a", "b"], seed=0)
    assert found == again
    assert (found.num_images, found.num_cases) == (3, 2)
    assert [change.down_to for change in found.changes] == ["head", "stage4", "stage3", "stage2", "stage1", "stem"]
    assert abs(found.changes[-1].rank_correlation or 0) < 0.95


def test_rollout_does_not_know_the_head(make_model: ModelMaker, make_batch: BatchMaker) -> None:
    model = make_model("test_vit")
    explainer = make_explainer(model, ExplanationSettings(method="attention_rollout"))
    side = model.backbone.required_size_px or 0
    found = check_sanity(explainer, [make_batch([(side, side)], canvas=side)], [[0]], ["a"], seed=0)
    assert found.changes[0].rank_correlation == pytest.approx(1.0)
    assert found.changes[0].low is None  # one case says nothing of others
    assert np.isclose(found.changes[0].similarity or 0, 1.0)
    assert (found.changes[-1].rank_correlation or 0) < 0.9
