"""Holm's procedure against its definition, told another way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.evaluation.multiplicity import holm, holm_levels

P_VALUES = st.lists(st.none() | st.floats(0, 1), max_size=8)


def rejected_by_definition(p_values: list[float], level: float) -> set[int]:
    """Take the smallest p-value again and again, as long as it is at most the level divided by the tests left."""
    left = dict(enumerate(p_values))
    rejected = set()
    while left:
        place = min(left, key=lambda one: left[one])
        if left[place] > level / len(left):
            break
        rejected.add(place)
        del left[place]
    return rejected


def test_a_family_worked_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx((0.06, 0.03, 0.06, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()
    assert holm([0.02]) == (0.02,)


@settings(max_examples=50, deadline=None)
@given(P_VALUES, st.sampled_from([0.01, 0.05, 0.2]))
def test_what_is_rejected_is_what_the_step_down_procedure_rejects(p_values: list[float | None], level: float) -> None:
    tested = [place for place, one in enumerate(p_values) if one is not None]
    by_definition = {tested[place] for place in rejected_by_definition([p for p in p_values if p is not None], level)}
    levels = holm_levels(p_values, level=level)
    own = {
        place
        for place, (p, at) in enumerate(zip(p_values, levels, strict=True))
        if p is not None and at is not None and p <= at
    }
    assert own == by_definition
    for place in tested:
        adjusted = holm(p_values)[place]
        assert adjusted is not None
        # Beside the level, rounding of the product decides.
        assert (adjusted <= level) == (place in by_definition) or adjusted == pytest.approx(level)


@settings(max_examples=50, deadline=None)
@given(P_VALUES)
def test_adjusting_never_lowers_a_p_value_nor_changes_their_order(p_values: list[float | None]) -> None:
    adjusted = holm(p_values)
    assert [one is None for one in adjusted] == [one is None for one in p_values]
    pairs = sorted((p, a) for p, a in zip(p_values, adjusted, strict=True) if p is not None and a is not None)
    assert all(p <= a <= 1 for p, a in pairs)
    assert [a for _, a in pairs] == sorted(a for _, a in pairs)
