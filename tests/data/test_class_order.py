"""Class names are sorted as a person would."""

from hypothesis import given
from hypothesis import strategies as st

from radpath.data.class_order import natural_order


def test_numbers_count_as_numbers_wherever_they_stand() -> None:
    assert natural_order(["b2x", "b10", "b2", "10", "9", "a", ""]) == ("", "9", "10", "a", "b2", "b2x", "b10")


@given(st.lists(st.text(alphabet="019aé²٣ ", max_size=5)))
def test_the_order_does_not_depend_on_where_the_names_started(names: list[str]) -> None:
    assert natural_order(names) == natural_order(reversed(names))
    assert sorted(natural_order(names)) == sorted(names)


@given(st.lists(st.integers(0, 10**20)))
def test_plain_numbers_are_sorted_by_value(numbers: list[int]) -> None:
    assert [int(name) for name in natural_order(map(str, numbers))] == sorted(numbers)
