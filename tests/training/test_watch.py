"""The watch lets usual steps pass, remembers the last of them, and stops what must not be made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.training.watch import SpoiltError, Step, Watch, WatchSettings


def watch_of(*, steps: int = 3, skips_steps: bool = False) -> Watch:
    return Watch(WatchSettings(explosion=10, steps=steps), chance_loss=0.7, from_start=True, skips_steps=skips_steps)


def step(loss: float, *, number: int = 1, norm: float = 1.0) -> Step:
    return Step(epoch=2, step=number, loss=loss, gradient_norm=norm, learning_rate=0.1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5))
def test_so_many_exploded_steps_in_a_row_and_no_fewer_end_it(exploded: list[bool], steps: int) -> None:
    watch, made = watch_of(steps=steps), 0
    row = "".join("x" if one else "." for one in exploded)
    end = row.find("x" * steps)
    try:
        for one in exploded:
            watch.look(step(7.1 if one else 6.9), [])
            made += 1
    except SpoiltError:
        assert made == end + steps - 1
    else:
        assert end == -1
    assert watch.num_made == made


@pytest.mark.parametrize(("loss", "norm", "what"), [(np.nan, 1.0, "the loss is nan"), (1.0, np.inf, "the norm of the")])
def test_a_number_that_is_none_ends_it_at_once(loss: float, norm: float, what: str) -> None:
    watch = watch_of()
    watch.look(step(0.7), [])
    with pytest.raises(SpoiltError, match=rf"^{what}.* in epoch 2, step 5$"):
        watch.look(step(loss, number=5, norm=norm), [np.array([1, 2])])
    assert [one.step for one in watch.steps] == [1, 5]
    assert watch.batches[0].tolist() == [1, 2]
    assert watch.first == step(0.7)


def test_gradients_that_16_bits_skip_anyway_do_not_end_it() -> None:
    watch_of(skips_steps=True).look(step(1.0, norm=np.inf), [])


def test_only_the_last_steps_are_remembered() -> None:
    watch = watch_of()
    for number in range(50):
        watch.look(step(1.0, number=number), [])
    assert [one.step for one in watch.steps] == list(range(30, 50))
