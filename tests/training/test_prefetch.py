"""Working ahead changes neither order nor numbers, errors arrive where they belong, and the thread ends."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from radpath.training import prefetch
from radpath.training.prefetch import ahead

CPU = torch.device("cpu")


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "depth_for", lambda _: 2)


def threads_ahead() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "radpath-ahead"]


@pytest.mark.usefixtures("forced")
def test_a_thread_makes_everything_in_order() -> None:
    makers: set[str] = set()

    def square(number: int) -> int:
        makers.add(threading.current_thread().name)
        return number**2

    with ahead(square, range(20), device=CPU) as made:
        assert list(made) == [number**2 for number in range(20)]
    assert makers == {"radpath-ahead"}
    assert not threads_ahead()


def test_on_a_cpu_nothing_is_made_ahead() -> None:
    made_so_far: list[int] = []
    with ahead(made_so_far.append, range(3), device=CPU) as made:
        next(made)
        assert made_so_far == [0]
        assert not threads_ahead()


@pytest.mark.usefixtures("forced")
def test_no_more_is_made_ahead_than_fits() -> None:
    made_so_far: list[int] = []
    with ahead(made_so_far.append, range(50), device=CPU) as made:
        next(made)
        time.sleep(0.2)
        assert len(made_so_far) <= 4  # the first, two that wait, and one that finds no room
    assert len(made_so_far) <= 5


@pytest.mark.usefixtures("forced")
def test_an_error_arrives_behind_the_results_before_it() -> None:
    def divide(number: int) -> float:
        return 1 / (2 - number)

    seen: list[float] = []
    with pytest.raises(ZeroDivisionError), ahead(divide, range(9), device=CPU) as made:
        seen.extend(made)
    assert seen == [0.5, 1.0]
    assert not threads_ahead()


def interrupt_at_once(_: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("forced")
def test_ctrl_c_while_a_batch_is_used_ends_the_thread() -> None:
    def use(made: Iterator[str]) -> None:
        next(made)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ahead(str, range(1000), device=CPU) as used:
        use(used)
    assert not threads_ahead()


@pytest.mark.usefixtures("forced")
def test_ctrl_c_in_the_thread_arrives_and_ends_it() -> None:
    with pytest.raises(KeyboardInterrupt), ahead(interrupt_at_once, range(1000), device=CPU) as made:
        list(made)
    assert not threads_ahead()
