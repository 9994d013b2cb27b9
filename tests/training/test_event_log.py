"""TensorBoard shows every epoch once, also when epochs are fast and when a run was killed and resumed."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from radpath.training import event_log
from radpath.training.event_log import EventLog
from radpath.training.history import Epoch


def epoch(number: int, *, loss: float = 1.0, auc: float | None = 0.5) -> Epoch:
    return Epoch(
        epoch=number, learning_rate=0.25, train_loss=loss, validation_loss=2.0, validation_auc=auc, seconds=1.0
    )


def write(folder: Path, epochs: Iterable[Epoch], *, closes: bool = True) -> EventLog:
    log = EventLog(folder)
    for entry in epochs:
        log.add(entry)
    if closes:
        log.close()
    return log


def shown(folder: Path, tag: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


@pytest.fixture
def passing_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process begin in a second of its own, as real ones do: event files are named by the second."""
    seconds = itertools.count(1_700_000_000)
    monkeypatch.setattr("tensorboard.summary.writer.event_file_writer.time.time", lambda: float(next(seconds)))


def test_every_number_of_an_epoch_is_shown(tmp_path: Path) -> None:
    write(tmp_path, [epoch(0, loss=4.0), epoch(1, loss=3.0)])
    assert shown(tmp_path, "loss/train") == [(0, 4.0), (1, 3.0)]
    assert shown(tmp_path, "loss/validation") == [(0, 2.0), (1, 2.0)]
    assert shown(tmp_path, "auc/validation") == [(0, 0.5), (1, 0.5)]
    assert shown(tmp_path, "learning_rate") == [(0, 0.25), (1, 0.25)]


def test_an_epoch_without_auc_has_the_other_numbers(tmp_path: Path) -> None:
    write(tmp_path, [epoch(0, auc=None), epoch(1)])
    assert shown(tmp_path, "auc/validation") == [(1, 0.5)]
    assert len(shown(tmp_path, "loss/train")) == 2


def test_many_epochs_of_one_second_are_all_shown(tmp_path: Path) -> None:
    write(tmp_path, [epoch(number) for number in range(25)])
    assert [step for step, _ in shown(tmp_path, "loss/train")] == list(range(25))


def test_nothing_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    log = write(tmp_path, [epoch(0), epoch(1)], closes=False)
    assert [step for step, _ in shown(tmp_path, "loss/train")] == [0, 1]
    log.close()


@pytest.mark.usefixtures("passing_seconds")
def test_an_epoch_that_is_repeated_after_a_kill_is_shown_once(tmp_path: Path) -> None:
    write(tmp_path, [epoch(number, loss=1.0) for number in range(4)])
    write(tmp_path, [epoch(number, loss=9.0) for number in range(3, 6)])
    assert shown(tmp_path, "loss/train") == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 9.0), (4, 9.0), (5, 9.0)]


def test_without_an_epoch_there_is_no_file(tmp_path: Path) -> None:
    write(tmp_path / "tensorboard", [])
    assert not (tmp_path / "tensorboard").exists()


def test_tensorboard_is_not_imported_before_it_is_needed() -> None:
    assert not hasattr(event_log, "SummaryWriter")
