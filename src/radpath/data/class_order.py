"""The order of class names, in which a model's outputs, tables and figures stand.

In: names in any order. Out: the same names, with numbers in them counting as numbers.
"""

import re
from collections.abc import Iterable


def natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names such that '10' follows '9'.

    >>> natural_order(["10", "9", "grade 2", "grade 11"])
    ('9', '10', 'grade 2', 'grade 11')
    """
    return tuple(sorted(names, key=_parts))


def _parts(name: str) -> tuple[list[str | int], str]:
    """Return texts and numbers in turn, so that like is compared with like; then the name, where '01' meets '1'."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], name
