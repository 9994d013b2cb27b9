"""The moving average is the one of the formula, and the model gets its own weights back."""

import contextlib
from collections.abc import Callable

import pytest
import torch

from radpath.errors import TrainingError
from radpath.models.classifier import Classifier
from radpath.training.averaging import WeightAverage

ModelMaker = Callable[..., Classifier]


def set_all(model: Classifier, value: float) -> None:
    for tensor in model.state_dict().values():
        tensor.fill_(int(value))


def test_the_average_follows_the_formula(make_model: ModelMaker) -> None:
    model = make_model()
    set_all(model, 0)
    average = WeightAverage(model, decay=0.2)
    expected = 0.0
    for step, value in enumerate([3, 5, 4, 8]):
        set_all(model, value)
        average.update(model)
        decay = min(0.2, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.tensors["head.weight"].flatten().tolist() == pytest.approx([expected] * 16)
    assert average.steps == 4


def test_whole_numbers_are_copied(make_model: ModelMaker) -> None:
    model = make_model()
    average = WeightAverage(model, decay=0.9)
    set_all(model, 7)
    average.update(model)
    assert int(average.tensors["backbone.network.1.num_batches_tracked"]) == 7


def test_without_decay_the_average_is_the_model(make_model: ModelMaker) -> None:
    model, other = make_model(seed=1), make_model(seed=2)
    average = WeightAverage(model, decay=0.0)
    average.update(other)
    assert all(torch.equal(average.tensors[name], value) for name, value in other.state_dict().items())


def test_the_model_has_the_average_inside_the_block_and_its_own_weights_after_it(make_model: ModelMaker) -> None:
    model = make_model(seed=1)
    average = WeightAverage(make_model(seed=2), decay=0.9)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with contextlib.suppress(TrainingError), average.in_place_of(model):
        assert torch.equal(model.head.weight, average.tensors["head.weight"])
        raise TrainingError
    assert all(torch.equal(own[name], value) for name, value in model.state_dict().items())


def test_of_a_frozen_model_only_the_head_is_averaged(make_model: ModelMaker) -> None:
    assert set(WeightAverage(make_model(freeze="all"), decay=0.9).tensors) == {"head.weight", "head.bias"}
