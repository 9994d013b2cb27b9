"""Class names are sorted as a person would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radpath.data.class_order import chosen_order, natural_order
from radpath.errors import SettingsError


def test_numbers_count_as_numbers_wherever_they_stand() -> None:
    assert natural_order(["b2x", "b10", "b2", "10", "9", "a", ""]) == ("", "9", "10", "a", "b2", "b2x", "b10")


@given(st.lists(st.text(alphabet="019aé²٣ ", max_size=5)))
def test_the_order_does_not_depend_on_where_the_names_started(names: list[str]) -> None:
    assert natural_order(names) == natural_order(reversed(names))
    assert sorted(natural_order(names)) == sorted(names)


@given(st.lists(st.integers(0, 10**20)))
def test_plain_numbers_are_sorted_by_value(numbers: list[int]) -> None:
    assert [int(name) for name in natural_order(map(str, numbers))] == sorted(numbers)


def test_the_settings_may_order_the_classes() -> None:
    assert chosen_order(("high", "low"), ()) == ("high", "low")
    assert chosen_order(("high", "low"), ("low", "high")) == ("low", "high")


@pytest.mark.parametrize("wanted", [["low"], ["low", "high", "low"], ["low", "middle"]])
def test_an_order_names_each_class_once(wanted: list[str]) -> None:
    with pytest.raises(
        SettingsError, match=r"^data\.class_order is \['low'.*\]; it must name each class once, or none; "
    ):
        chosen_order(("high", "low"), wanted)
