"""A soup is a plain mean, and takes a model only where validation is not worse with it."""

import pytest
import torch

from radpath.errors import WeightsError
from radpath.training.soup import Tensors, greedy_soup, mean_of_tensors


def model(value: float, steps: int = 3) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2, 2), value), "num_batches_tracked": torch.tensor(steps)}


def test_the_mean_of_equal_models_has_their_bits() -> None:
    weights = torch.randn(50, generator=torch.Generator().manual_seed(0))
    mean = mean_of_tensors([{"w": weights}] * 3)["w"]
    assert mean.numpy().tobytes() == weights.numpy().tobytes()


def test_floats_are_averaged_and_counters_are_the_first_models() -> None:
    mean = mean_of_tensors([model(1.0, 3), model(2.0, 9)])
    assert mean["weight"].tolist() == [[1.5, 1.5], [1.5, 1.5]]
    assert mean["num_batches_tracked"].item() == 3


def test_other_layers_or_shapes_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"^the models have other layers or shapes, beginning with 'weight'"):
        mean_of_tensors([model(1.0), {**model(1.0), "weight": torch.zeros(3)}])
    with pytest.raises(WeightsError, match=r"beginning with 'more'.*`radpath ensemble`$"):
        mean_of_tensors([model(1.0), {**model(1.0), "more": torch.zeros(3)}])


def nearness(tensors: Tensors) -> tuple[float, float]:
    """Best where the weights are 1."""
    return 0.0, -abs(float(tensors["weight"].mean()) - 1)


def test_who_makes_the_mean_worse_stays_out() -> None:
    chosen, merit = greedy_soup([model(1.5), model(9.0), model(0.5), model(1.0)], measure=nearness)
    assert chosen == [0, 2, 3]
    assert merit == (0.0, 0.0)


def test_the_best_alone_is_a_soup_too() -> None:
    assert greedy_soup([model(1.0), model(2.0)], measure=nearness) == ([0], (0.0, 0.0))
