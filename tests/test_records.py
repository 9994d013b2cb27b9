"""The nouns that several layers share."""

from radpath.records import PREDICTION_COLUMNS, SIDES, probability_columns


def test_there_are_three_sides_in_the_order_of_the_walk() -> None:
    assert SIDES == ("train", "validation", "test")


def test_each_class_has_its_column_whatever_its_name() -> None:
    assert probability_columns(["in situ", "probability:x", ""]) == [
        "probability:in situ",
        "probability:probability:x",
        "probability:",
    ]
    assert not set(probability_columns(["case", "truth"])) & set(PREDICTION_COLUMNS)
