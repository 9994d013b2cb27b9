"""Many tests at once: p-values that keep the chance of any false alarm at the level of one test (Holm 1979).

In: the p-values of one family of tests, ``None`` where a test could not be made. Out: adjusted p-values, and the level
that each test was judged at. Which tests make a family, and where p-values come from, is left to the caller.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Return Holm's adjusted p-values (Holm 1979), in the order given; to be compared with the level itself.

    They hold however the tests depend on each other. A test that could not be made (``None``) stays so and does not
    count as one of the family.

    >>> holm([0.01, None, 0.04, 0.03])
    (0.03, None, 0.06, 0.06)
    """
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    ordered = _rising(p_values)
    for step, (p_value, place) in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - step) * p_value))
        adjusted[place] = highest
    return tuple(adjusted)


def holm_levels(p_values: Sequence[float | None], *, level: float) -> tuple[float | None, ...]:
    """Return the level that Holm's procedure judges each test at; ``None`` for a test that could not be made.

    Tests are taken from the smallest p-value to the largest, at ``level / m``, ``level / (m - 1)`` and so on; once one
    fails, all that are left fail, and have the level of that one. So an interval of confidence ``1 - level_of_test``
    leaves out 0 exactly where the adjusted p-value is at most ``level``. Such intervals belong to the decisions; they
    do not all hold at once with confidence ``1 - level``.

    >>> holm_levels([0.01, None, 0.04, 0.03], level=0.06)
    (0.02, None, 0.06, 0.03)
    >>> holm_levels([0.01, None, 0.04, 0.03], level=0.05) == (0.05 / 3, None, 0.025, 0.025)
    True
    """
    levels: list[float | None] = [None] * len(p_values)
    ordered = _rising(p_values)
    failed_at: float | None = None
    for step, (p_value, place) in enumerate(ordered):
        own = level / (len(ordered) - step)
        levels[place] = own if failed_at is None else failed_at
        if failed_at is None and p_value > own:
            failed_at = own
    return tuple(levels)


def _rising(p_values: Sequence[float | None]) -> list[tuple[float, int]]:
    """Return the p-values that exist with their places, the smallest first."""
    return sorted((p_value, place) for place, p_value in enumerate(p_values) if p_value is not None)
