"""Weights alone decay, every stage has its rate, the schedule sets them all, and rare classes are helped once."""

from collections.abc import Callable
from typing import Any

import pytest

from radpath.errors import SettingsError
from radpath.models.classifier import Classifier
from radpath.settings import parse_settings
from radpath.training.optimisation import BASE_RATE, OptimisationSettings, build_optimiser, set_rate

ModelMaker = Callable[..., Classifier]


def chosen(**values: Any) -> OptimisationSettings:
    return OptimisationSettings.model_validate(values)


def groups_of(model: Classifier, settings: OptimisationSettings) -> dict[str, tuple[float, float]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (round(group["lr"], 9), group["weight_decay"])
        for group in build_optimiser(model, settings).param_groups
        for parameter in group["params"]
    }


def test_only_weights_of_more_than_one_dimension_decay_and_each_stage_has_its_rate(make_model: ModelMaker) -> None:
    settings = chosen(learning_rate=0.1, head_rate_factor=10, layer_decay=0.5, optimiser={"weight_decay": 0.3})
    # The network of the tests has a stem, which holds the first convolution, and one stage.
    assert groups_of(make_model(), settings) == {
        "backbone.network.0.weight": (0.05, 0.3),
        "backbone.network.1.weight": (0.05, 0.0),
        "backbone.network.1.bias": (0.05, 0.0),
        "backbone.network.3.weight": (0.1, 0.3),
        "backbone.network.3.bias": (0.1, 0.0),
        "head.weight": (1.0, 0.3),
        "head.bias": (1.0, 0.0),
    }


def test_without_layer_decay_the_backbone_learns_at_one_rate(make_model: ModelMaker) -> None:
    rates = {name: rate for name, (rate, _) in groups_of(make_model(), chosen(learning_rate=0.1)).items()}
    assert set(rates.values()) == {0.1}


def test_what_is_frozen_is_not_optimised(make_model: ModelMaker) -> None:
    assert set(groups_of(make_model(freeze="all"), chosen())) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd", "rmsprop"])
def test_every_optimiser_gets_the_groups(make_model: ModelMaker, kind: str) -> None:
    optimiser = build_optimiser(make_model(), chosen(optimiser={"kind": kind}))
    assert type(optimiser).__name__.lower() == kind
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.05, 0.0}


def test_every_group_gets_its_share_and_what_became_of_the_rate_is_told(make_model: ModelMaker) -> None:
    settings = chosen(learning_rate=0.2, head_rate_factor=5, schedule={"warmup": 0.5})
    optimiser = build_optimiser(make_model(), settings)
    assert set_rate(optimiser, settings, epoch=1, num_epochs=2, share=0.5) == pytest.approx(0.1)
    assert all(group["lr"] == pytest.approx(group[BASE_RATE] / 2) for group in optimiser.param_groups)
    assert sorted({group["lr"] for group in optimiser.param_groups}) == pytest.approx([0.1, 0.5])


def test_swa_replaces_the_schedule_by_its_constant_rate(make_model: ModelMaker) -> None:
    settings = chosen(learning_rate=0.2, average={"kind": "swa", "start": 0.5, "rate": 0.3})
    optimiser = build_optimiser(make_model(), settings)
    rates = [set_rate(optimiser, settings, epoch=epoch, num_epochs=4, share=1.0) for epoch in (1, 2, 3, 4)]
    assert rates[0] > rates[1] > 0.06
    assert rates[2:] == pytest.approx([0.06, 0.06])


@pytest.mark.parametrize("weights", ["balanced", "effective_number"])
def test_rare_classes_are_not_favoured_twice(weights: str) -> None:
    message = rf"^x: training\.sampling is 'balanced' and training\.loss\.class_weights is '{weights}', which would fa"
    with pytest.raises(SettingsError, match=message):
        parse_settings(OptimisationSettings, {"sampling": "balanced", "loss": {"class_weights": weights}}, source="x")
    given = {"class_weights": "given", "given_weights": {"a": 1.0, "b": 2.0}}
    for loss in (given, {"class_weights": "none"}):
        assert chosen(sampling="balanced", loss=loss).sampling == "balanced"
