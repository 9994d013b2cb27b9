"""Several labels an image, as one text."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from radpath.data.label_sets import (
    LabelSetSettings,
    decoded,
    encoded,
    is_label_set,
    label_matrix,
    names_of,
    one_row_a_class,
    unanswered,
)
from radpath.errors import DataError

NAMES = st.text(st.characters(exclude_characters="{}|=", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name != "none of these"
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, st.sampled_from([True, False, None]), min_size=1, max_size=5))
def test_a_set_survives_the_journey_through_its_text(answers: dict[str, bool | None]) -> None:
    text = encoded(answers)
    assert decoded(text) == answers
    assert is_label_set(text)
    assert names_of([None, text]) == tuple(answers)
    expected = [np.nan if answer is None else float(answer) for answer in answers.values()]
    np.testing.assert_array_equal(label_matrix([text], tuple(answers))[0], np.array(expected, np.float32))


@pytest.mark.parametrize("name", ["", "a|b", "a=b", "{a", "none of these"])
def test_a_name_that_the_text_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"^a label is called '.*'; its name must not be empty or 'none of these', nor"):
        encoded({name: True})


def test_classes_stay_one_row_an_image() -> None:
    rows = pl.DataFrame({"record_id": ["1", "2"], "label": ["benign", None]})
    assert one_row_a_class(rows) is rows
    assert names_of(rows["label"]) is None
    assert unanswered(rows) == {}


def test_an_image_comes_once_for_each_label_that_is_there() -> None:
    rows = pl.DataFrame({"record_id": ["1", "2", "3"], "label": ["{a=1|b=1}", "{a=0|b=?}", "{a=?|b=1}"]})
    found = one_row_a_class(rows)
    assert found.columns == rows.columns
    assert list(found.iter_rows()) == [("1", "a"), ("1", "b"), ("2", "none of these"), ("3", "b")]


def test_a_label_with_one_answer_only_is_found() -> None:
    rows = pl.DataFrame({"label": ["{a=1|b=0|c=1}", "{a=1|b=?|c=0}"]})
    assert unanswered(rows) == {"a": "without", "b": "with"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"columns": ("a", "b"), "separator": "|"}, "set one of the two"),
        ({"columns": ("a",)}, "a question with two answers; set data.label_column to it"),
        ({"names": ("a",)}, "names chooses among the labels of one column; set separator"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LabelSetSettings.model_validate(values)
