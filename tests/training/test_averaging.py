"""Each average is the one of its formula, and the model gets its own weights back."""

import contextlib
from collections.abc import Callable

import pytest
import torch

from radpath.errors import TrainingError
from radpath.models.classifier import Classifier
from radpath.training.averaging import AverageSettings, WeightAverage

ModelMaker = Callable[..., Classifier]


def set_all(model: Classifier, value: float) -> None:
    for tensor in model.state_dict().values():
        tensor.fill_(int(value))


def average_of(model: Classifier, **values: object) -> WeightAverage:
    return WeightAverage(model, AverageSettings.model_validate(values))


def head_of(average: WeightAverage) -> list[float]:
    return average.tensors["head.weight"].flatten().tolist()


def test_the_moving_average_follows_the_formula(make_model: ModelMaker) -> None:
    model = make_model()
    set_all(model, 0)
    average = average_of(model, decay=0.2)
    expected = 0.0
    for step, value in enumerate([3, 5, 4, 8]):
        set_all(model, value)
        average.after_step(model)
        average.after_epoch(model, step + 1, num_epochs=4)
        decay = min(0.2, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert head_of(average) == pytest.approx([expected] * 16)
    assert average.count == 4


def test_swa_is_the_model_until_it_starts_and_then_the_mean_of_the_epochs(make_model: ModelMaker) -> None:
    model = make_model()
    average = average_of(model, kind="swa", start=0.5)
    for epoch, (value, expected) in enumerate([(9, 9.0), (7, 7.0), (1, 1.0), (2, 1.5), (6, 3.0), (3, 3.0)], start=1):
        set_all(model, value)
        average.after_step(model)
        average.after_epoch(model, epoch, num_epochs=4)
        assert head_of(average) == pytest.approx([expected] * 16)
    assert average.count == 4


def test_swa_starts_with_the_first_epoch_of_its_share() -> None:
    def averaged(start: float, num_epochs: int) -> list[int]:
        chosen = AverageSettings(kind="swa", start=start)
        return [epoch for epoch in range(num_epochs + 1) if chosen.is_swa_in(epoch, num_epochs=num_epochs)]

    assert averaged(0.75, 8) == [7, 8]
    assert averaged(0.0, 3) == [1, 2, 3]
    assert averaged(0.9, 3) == []
    assert averaged(0.0, 0) == []
    assert not AverageSettings(kind="ema").is_swa_in(9, num_epochs=10)


def test_whole_numbers_are_copied(make_model: ModelMaker) -> None:
    model = make_model()
    average = average_of(model, decay=0.9)
    set_all(model, 7)
    average.after_step(model)
    assert int(average.tensors["backbone.network.1.num_batches_tracked"]) == 7


@pytest.mark.parametrize("values", [{"decay": 0.0}, {"kind": "none"}])
def test_without_decay_or_without_an_average_the_last_weights_are_kept(
    make_model: ModelMaker, values: dict[str, object]
) -> None:
    model, other = make_model(seed=1), make_model(seed=2)
    average = average_of(model, **values)
    average.after_step(other)
    average.after_epoch(other, 1, num_epochs=3)
    assert all(torch.equal(average.tensors[name], value) for name, value in other.state_dict().items())


def test_the_model_has_the_average_inside_the_block_and_its_own_weights_after_it(make_model: ModelMaker) -> None:
    model = make_model(seed=1)
    average = average_of(make_model(seed=2), decay=0.9)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with contextlib.suppress(TrainingError), average.in_place_of(model):
        assert torch.equal(model.head.weight, average.tensors["head.weight"])
        raise TrainingError
    assert all(torch.equal(own[name], value) for name, value in model.state_dict().items())


def test_of_a_frozen_model_only_the_head_is_averaged(make_model: ModelMaker) -> None:
    assert set(average_of(make_model(freeze="all")).tensors) == {"head.weight", "head.bias"}
