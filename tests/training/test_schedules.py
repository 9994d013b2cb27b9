"""Each schedule is the curve that PyTorch's own one draws, and none has a state that could be lost."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from radpath.training.schedules import ScheduleSettings, count_plateaus, rate_factor

KINDS = ["cosine", "constant", "step", "exponential", "one_cycle", "plateau"]


def schedule(**values: object) -> ScheduleSettings:
    return ScheduleSettings.model_validate(values)


def a_pytorch_optimiser() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)


def drawn_by(theirs: Any, steps: int) -> list[float]:
    """Return the rates that one of PyTorch's schedulers sets before each of so many steps, and after the last."""
    rates = []
    for _ in range(steps + 1):
        rates.append(theirs.get_last_lr()[0])
        if len(rates) <= steps:
            theirs.optimizer.step()
            theirs.step()
    return rates


def test_the_rate_rises_to_the_full_and_falls_along_half_a_cosine() -> None:
    rates = [rate_factor(schedule(warmup=0.2), done=done, epoch=1) for done in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 0.505, 0.01])


@pytest.mark.parametrize("floor", [0.0, 0.01, 0.3])
def test_the_cosine_is_pytorchs(floor: float) -> None:
    theirs = drawn_by(lr_scheduler.CosineAnnealingLR(a_pytorch_optimiser(), T_max=10, eta_min=floor), 10)
    ours = [rate_factor(schedule(warmup=0, floor=floor), done=step / 10, epoch=1) for step in range(11)]
    assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("rising", [0.3, 0.5])
def test_one_cycle_is_pytorchs(rising: float) -> None:
    steps = 20
    # Theirs counts from the step before the first to the last one; ours the share that is done after each step.
    share = (rising * steps + 1) / (steps + 1)
    cycle = lr_scheduler.OneCycleLR(
        a_pytorch_optimiser(),
        max_lr=1.0,
        total_steps=steps + 1,
        pct_start=share,
        div_factor=25,
        final_div_factor=1 / (25 * 0.02),
        cycle_momentum=False,
    )
    chosen = schedule(kind="one_cycle", warmup=rising, floor=0.02)
    ours = [rate_factor(chosen, done=step / steps, epoch=1) for step in range(steps + 1)]
    assert ours == pytest.approx(drawn_by(cycle, steps))


def test_step_and_exponential_are_pytorchs_epoch_by_epoch() -> None:
    step = lr_scheduler.StepLR(a_pytorch_optimiser(), step_size=3, gamma=0.2)
    ours = schedule(kind="step", every=3, factor=0.2, warmup=0, floor=0)
    assert [rate_factor(ours, done=epoch / 9, epoch=epoch) for epoch in range(1, 10)] == pytest.approx(
        drawn_by(step, 8)
    )
    fall = lr_scheduler.ExponentialLR(a_pytorch_optimiser(), gamma=0.8)
    ours = schedule(kind="exponential", factor=0.8, warmup=0, floor=0)
    assert [rate_factor(ours, done=epoch / 9, epoch=epoch) for epoch in range(1, 10)] == pytest.approx(
        drawn_by(fall, 8)
    )


def test_the_first_epoch_of_the_exponential_has_the_full_rate() -> None:
    assert rate_factor(schedule(kind="exponential", factor=0.5, warmup=0), done=0.1, epoch=1) == 1.0


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=20), wait=st.integers(1, 4))
def test_plateaus_are_pytorchs(values: list[float], wait: int) -> None:
    optimiser = a_pytorch_optimiser()
    theirs = lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=0.5, patience=wait - 1, threshold=0)
    for number, value in enumerate(values, start=1):
        theirs.step(value)
        plateaus = count_plateaus([(seen,) for seen in values[:number]], wait=wait)
        ours = rate_factor(schedule(kind="plateau", warmup=0, floor=0), done=0.5, epoch=1, plateaus=plateaus)
        assert ours == pytest.approx(optimiser.param_groups[0]["lr"])


def test_without_epochs_nothing_was_waited_for() -> None:
    assert count_plateaus([], wait=1) == 0


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    chosen = schedule(warmup=0.5, kind="constant")
    assert [rate_factor(chosen, done=done, epoch=1) for done in (0.25, 0.5, 0.75, 1.0)] == [0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("kind", ["step", "exponential", "plateau"])
def test_the_rate_stops_falling_at_the_floor(kind: str) -> None:
    chosen = schedule(kind=kind, floor=0.1, warmup=0, every=1)
    assert rate_factor(chosen, done=1.0, epoch=50, plateaus=50) == 0.1


@settings(max_examples=50, deadline=None)
@given(done=st.floats(0, 1), warmup=st.floats(0, 0.99), kind=st.sampled_from(KINDS), epoch=st.integers(1, 30))
def test_the_rate_is_never_zero_nor_above_its_top(done: float, warmup: float, kind: str, epoch: int) -> None:
    factor = rate_factor(schedule(warmup=warmup, kind=kind), done=done, epoch=epoch, plateaus=epoch)
    assert 0.000099 <= factor <= 1
