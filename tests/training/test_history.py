"""The best epoch is the one of the highest AUC, then of the lowest loss, then the first; the table survives a round."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.errors import DataError
from radpath.training.history import Epoch, Monitor, best_of, read_history, write_history

numbers = st.floats(0, 1e6, allow_nan=False)
epochs = st.builds(
    Epoch,
    epoch=st.integers(0, 99),
    learning_rate=numbers,
    train_loss=numbers,
    validation_loss=numbers,
    validation_auc=st.none() | st.floats(0, 1),
    validation_accuracy=st.none() | st.floats(0, 1),
    validation_balanced_accuracy=st.none() | st.floats(0, 1),
    validation_f1=st.none() | st.floats(0, 1),
    validation_sensitivity=st.none() | st.floats(0, 1),
    seconds=numbers,
)


def epoch(number: int, *, auc: float | None = 0.5, loss: float = 1.0, **others: Any) -> Epoch:
    return Epoch(
        epoch=number, learning_rate=0.1, train_loss=1.0, validation_loss=loss, validation_auc=auc, seconds=1.0, **others
    )


def best(history: list[Epoch], monitor: Monitor = "validation_auc") -> int:
    return best_of(history, monitor).epoch


def test_the_best_epoch_has_the_highest_auc_whatever_its_loss() -> None:
    assert best([epoch(0, auc=0.8, loss=0.1), epoch(1, auc=0.9, loss=5.0), epoch(2, auc=0.7)]) == 1


def test_a_lower_loss_breaks_a_tie() -> None:
    assert best([epoch(0, auc=1.0, loss=0.3), epoch(1, auc=1.0, loss=0.2), epoch(2, auc=1.0, loss=0.4)]) == 1


def test_the_earliest_of_equal_epochs_is_the_best() -> None:
    assert best([epoch(3), epoch(1), epoch(2)]) == 1


def test_without_any_auc_the_loss_decides() -> None:
    assert best([epoch(0, auc=None, loss=0.3), epoch(1, auc=None, loss=0.2)]) == 1


def test_the_lowest_loss_is_the_best_where_the_loss_is_monitored() -> None:
    assert best([epoch(0, auc=0.9, loss=0.3), epoch(1, auc=0.5, loss=0.2)], "validation_loss") == 1


@pytest.mark.parametrize(
    "monitor",
    ["validation_accuracy", "validation_balanced_accuracy", "validation_f1", "validation_sensitivity"],
)
def test_the_highest_of_any_other_number_is_the_best_and_none_is_worst(monitor: Monitor) -> None:
    values: list[dict[str, Any]] = [{monitor: value} for value in (0.2, 0.7, None)]
    history = [epoch(number, **value) for number, value in enumerate(values)]
    assert best(history, monitor) == 1
    same: dict[str, Any] = {monitor: 0.5}
    tied = [epoch(number, loss=loss, **same) for number, loss in enumerate([0.3, 0.2, 0.2])]
    assert best(tied, monitor) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(epochs, min_size=1, max_size=5))
def test_what_is_written_is_read_again_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, history: list[Epoch]
) -> None:
    path = tmp_path_factory.mktemp("history") / "history.csv"
    write_history(history, path)
    assert read_history(path) == history


def test_a_missing_history_says_that_no_epoch_was_finished(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"history\.csv is missing; the training did not finish an epoch$"):
        read_history(tmp_path / "history.csv")


@pytest.mark.parametrize("text", ["epoch,loss\n1,2\n", "epoch,learning_rate\n0\n", "\x00", "epoch\nfirst\n"])
def test_another_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.csv"
    write_history([epoch(0)], path)
    header = path.read_text(encoding="utf-8").splitlines()[0]
    path.write_text(text if text != "\x00" else f"{header}\n1,a,b,c,d,e\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"history\.csv is not a history that radpath wrote: "):
        read_history(path)


def test_a_history_without_an_epoch_is_refused(tmp_path: Path) -> None:
    write_history([], tmp_path / "history.csv")
    with pytest.raises(DataError, match=r"history\.csv is not a history that radpath wrote: there is no epoch in it$"):
        read_history(tmp_path / "history.csv")
