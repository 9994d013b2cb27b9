"""The choice follows what was measured in turn, and what is measured is the run's own step."""

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.batches import ImageSource
from radpath.errors import DeviceError
from radpath.models.classifier import Classifier
from radpath.training import precision_probe
from radpath.training.device import DeviceSettings
from radpath.training.precision_probe import choose_precision, decide

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]

CPU = DeviceSettings(device="cpu", precision="auto")


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6), st.integers(1, 15))
def test_bf16_is_taken_exactly_where_it_is_more_than_1_3_times_as_fast(full: float, half: float, rounds: int) -> None:
    found = decide({("32-true", "channels_last"): full, ("bf16-mixed", "channels_last"): half}, rounds=rounds)
    assert (found.precision == "bf16-mixed") == (half / full > 1.3)
    assert found.sentence().startswith(f"Precision: {found.precision}, channels_last, since ")
    assert f"{half / full:.2f} times as fast" in found.sentence()


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(1e-3, 1e6)] * 4))
def test_each_precision_is_judged_in_the_format_that_suits_it(rates: tuple[float, float, float, float]) -> None:
    last, other, half_last, half_other = rates
    found = decide(
        {
            ("32-true", "channels_last"): last,
            ("32-true", "contiguous"): other,
            ("bf16-mixed", "channels_last"): half_last,
            ("bf16-mixed", "contiguous"): half_other,
        },
        rounds=3,
    )
    full = other if other / last > 1.15 else last
    half = half_other if half_other / half_last > 1.15 else half_last
    assert found.precision == ("bf16-mixed" if half / full > 1.3 else "32-true")
    gain = half_other / half_last if found.precision == "bf16-mixed" else other / last
    assert found.memory_format == ("contiguous" if gain > 1.15 else "channels_last")


class Clock:
    """A clock that moves by what a step takes: 0.3 s, but 0.1 s in bf16."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.seen = 0.0, list[tuple[bool, bool, bool]]()
        monkeypatch.setattr("radpath.training.precision_probe.time.perf_counter", lambda: self.now)
        features = Classifier.features

        def slow(model: Classifier, *inputs: torch.Tensor) -> torch.Tensor:
            half = torch.is_autocast_enabled("cpu")
            self.now += 0.1 if half else 0.3
            self.seen.append((half, torch.is_grad_enabled(), model.training))
            return features(model, *inputs)

        monkeypatch.setattr(Classifier, "features", slow)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("freeze", "num_thawed", "trains"), [("none", 0, True), ("top-1", 0, True), ("all", 0, False), ("all", 1, True)]
)
def test_a_step_is_the_run_s_and_both_precisions_are_measured_in_turn(
    make_model: ModelMaker, bright_and_dark: SourceMaker, clock: Clock, *, freeze: str, num_thawed: int, trains: bool
) -> None:
    def build() -> Classifier:
        model = make_model(freeze=freeze)
        model.plan_thaw(num_thawed)
        return model

    found = choose_precision(CPU, build, lambda _: bright_and_dark(20), num_thawed=num_thawed, seconds=1.0)
    assert found.precision == "bf16-mixed"
    assert found.images_per_second == pytest.approx(
        {"32-true, channels_last": 8 / 0.3, "bf16-mixed, channels_last": 8 / 0.1}
    )
    assert found.rounds == 3  # 0.4 s each: the third one begins after 0.8 s
    assert clock.seen == [(False, trains, trains), (True, trains, trains)] * 4


def test_both_formats_are_measured_where_both_are_open(
    make_model: ModelMaker, bright_and_dark: SourceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, plain = list[tuple[torch.memory_format, bool]](), Classifier.features

    def noting(model: Classifier, *inputs: torch.Tensor) -> torch.Tensor:
        seen.append((model.backbone.memory_format, torch.is_autocast_enabled("cpu")))
        return plain(model, *inputs)

    monkeypatch.setattr(Classifier, "features", noting)
    both = CPU.model_copy(update={"memory_format": "auto"})
    found = choose_precision(both, make_model, lambda _: bright_and_dark(4), num_thawed=0, seconds=0.0)
    assert found.rounds == 1
    formats = (torch.channels_last, torch.contiguous_format)
    assert seen == [(one, half) for half in (False, True) for one in formats] * 2
    assert set(found.images_per_second) == {
        "32-true, channels_last", "32-true, contiguous", "bf16-mixed, channels_last", "bf16-mixed, contiguous"
    }  # fmt: skip


def test_a_way_that_is_many_times_slower_is_tried_once(
    make_model: ModelMaker, bright_and_dark: SourceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, halves, plain = [0.0], list[bool](), Classifier.features

    def slow(model: Classifier, *inputs: torch.Tensor) -> torch.Tensor:
        halves.append(torch.is_autocast_enabled("cpu"))
        now[0] += 5.0 if halves[-1] else 1.0
        return plain(model, *inputs)

    monkeypatch.setattr("radpath.training.precision_probe.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(Classifier, "features", slow)
    found = choose_precision(CPU, make_model, lambda _: bright_and_dark(4), num_thawed=0, seconds=3.0)
    assert halves == [False, True, False, False, False]
    assert (found.precision, found.rounds) == ("32-true", 3)
    assert found.images_per_second["bf16-mixed, channels_last"] == pytest.approx(4 / 5)


def test_a_precision_that_is_given_stays_while_formats_are_measured(
    make_model: ModelMaker, bright_and_dark: SourceMaker
) -> None:
    given = DeviceSettings(device="cpu", precision="bf16-mixed", memory_format="auto")
    found = choose_precision(given, make_model, lambda _: bright_and_dark(4), num_thawed=0, seconds=0.0)
    assert found.precision == "bf16-mixed"
    assert len(found.images_per_second) == 2


def test_one_round_is_measured_however_slow_the_network_is(
    make_model: ModelMaker, bright_and_dark: SourceMaker, clock: Clock
) -> None:
    found = choose_precision(CPU, make_model, lambda _: bright_and_dark(4), num_thawed=0, seconds=0.0)
    assert (found.rounds, len(clock.seen)) == (1, 4)


def test_rounds_end_before_the_time_where_steps_are_fast(
    make_model: ModelMaker, bright_and_dark: SourceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("radpath.training.precision_probe.time.perf_counter", lambda: next(ticks) * 1e-3)
    found = choose_precision(CPU, make_model, lambda _: bright_and_dark(4), num_thawed=0, seconds=60.0)
    assert found.rounds == 15


def test_a_device_that_is_not_measured_computes_in_32_bits(
    make_model: ModelMaker, bright_and_dark: SourceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_probe, "_not_measured", lambda _: "since this GPU has no bf16")
    found = choose_precision(CPU, make_model, lambda _: bright_and_dark(4), num_thawed=0)
    assert found.to_dict() == {
        "precision": "32-true",
        "memory_format": "channels_last",
        "because": "since this GPU has no bf16",
        "images_per_second": {},
        "rounds": 0,
    }


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, make_model: ModelMaker) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"^device\.device is 'cuda' with device\.num_devices = 1"):
        choose_precision(DeviceSettings(device="cuda"), make_model, lambda _: pytest.fail("built"), num_thawed=0)
