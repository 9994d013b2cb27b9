"""Nouns that several layers share: the sides of a split and the columns of ``predictions.csv``."""

from typing import Final, Literal, get_args

Side = Literal["train", "validation", "test"]
"""One of the three sides of a split."""

SIDES: Final[tuple[Side, ...]] = get_args(Side)

PROBABILITY_PREFIX: Final = "probability:"
"""``predictions.csv`` has one column a class, named by this prefix and the class: ``probability:benign``."""

PREDICTION_COLUMNS: Final = ("record_id", "case", "split", "truth")
"""The first columns of ``predictions.csv``; the probability columns follow, one a class, in the model's order."""

STAIN_COLUMN: Final = "stain"
"""A column of ``predictions.csv`` after the first ones, where any image's stain is known."""


def probability_columns(classes: list[str]) -> list[str]:
    """Return the names of the probability columns, in the order of ``classes``.

    >>> probability_columns(["benign", "invasive"])
    ['probability:benign', 'probability:invasive']
    """
    return [f"{PROBABILITY_PREFIX}{name}" for name in classes]
