"""The order of class names, in which a model's outputs, tables and figures stand.

In: names in any order. Out: the same names, with numbers in them counting as numbers, or as the settings order them.
"""

import re
from collections.abc import Iterable, Sequence

from radpath.errors import SettingsError


def natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names such that '10' follows '9'.

    >>> natural_order(["10", "9", "grade 2", "grade 11"])
    ('9', '10', 'grade 2', 'grade 11')
    """
    return tuple(sorted(names, key=_parts))


def chosen_order(found: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the classes in the order of the settings; as they are where none is given.

    Raises:
        SettingsError: the settings do not name each class once.

    >>> chosen_order(["high", "low"], ["low", "high"])
    ('low', 'high')
    """
    if wanted and sorted(wanted) != sorted(found):
        names = ", ".join(repr(name) for name in found)
        raise SettingsError(
            f"data.class_order is {list(wanted)}; it must name each class once, or none; the classes are {names}"
        )
    return tuple(wanted or found)


def _parts(name: str) -> tuple[list[str | int], str]:
    """Return texts and numbers in turn, so that like is compared with like; then the name, where '01' meets '1'."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], name
