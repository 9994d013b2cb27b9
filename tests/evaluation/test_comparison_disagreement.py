"""Where models disagree, image by image."""

from pathlib import Path

import numpy as np
import polars as pl

from radpath.evaluation.comparison import Contender
from radpath.evaluation.comparison_disagreement import disagreements, only_first_right, write_disagreements
from radpath.evaluation.predictions import Predictions

TRUTH = ("a", "b", "b", None, "c")


def model(name: str, classes: str, rows: list[list[float]]) -> Contender:
    predictions = Predictions(
        record_ids=("1", "2", "3", "4", "5"), cases=("p", "p", "q", "q", "r"), sides=("test",) * 4 + ("train",),
        truth=TRUTH, probabilities=np.array(rows), classes=tuple(classes),
    )  # fmt: skip
    return Contender(name=name, predictions=predictions, threshold=None)


FIRST = model("A", "abc", [[0.6, 0.3, 0.1], [0.7, 0.2, 0.1], [0.1, 0.9, 0.0], [1, 0, 0], [1, 0, 0]])
SECOND = model("B", "cab", [[0.1, 0.4, 0.5], [0.1, 0.1, 0.8], [0.0, 0.1, 0.9], [1, 0, 0], [1, 0, 0]])
THIRD = model("C", "abc", [[0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [0.5, 0.3, 0.2], [0, 0, 1], [0, 0, 1]])
ALL = (FIRST, SECOND, THIRD)


def test_labelled_images_that_some_decide_rightly_and_others_wrongly_are_found() -> None:
    found = disagreements(ALL, "test")
    assert [one.record_id for one in found] == ["1", "2", "3"]
    assert [one.decisions for one in found] == [("a", "b", "b"), ("a", "b", "b"), ("b", "b", "a")]
    assert found[1].truth_probabilities == (0.2, 0.8, 0.4)
    assert found[1].is_right == (False, True, True)
    assert [one.record_id for one in disagreements((FIRST, SECOND), "test")] == ["1", "2"]
    assert disagreements(ALL, "validation") == ()


def test_of_two_models_the_images_of_each_come_widest_apart_first() -> None:
    found = disagreements(ALL, "test")
    assert [one.record_id for one in only_first_right(found, 0, 2)] == ["3", "1"]
    assert [one.record_id for one in only_first_right(found, 2, 0)] == ["2"]
    assert [one.record_id for one in only_first_right(found, 1, 0)] == ["2"]


def test_the_list_holds_every_model_in_full_precision(tmp_path: Path) -> None:
    write_disagreements(disagreements(ALL, "test"), ("A", "B", "C"), tmp_path / "list.csv")
    table = pl.read_csv(tmp_path / "list.csv", schema_overrides={"record_id": pl.String})
    assert table.columns[:5] == ["record_id", "case", "truth", "decision:A", "truth_probability:A"]
    assert table["truth_probability:C"].to_list() == [0.1, 0.4, 0.3]
    assert table["decision:B"].to_list() == ["b", "b", "b"]
    write_disagreements((), ("A", "B"), tmp_path / "none.csv")
    assert pl.read_csv(tmp_path / "none.csv").is_empty()
