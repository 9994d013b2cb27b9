"""Predictions of other programs give a full report, from the documented columns alone."""

import csv
import json
from pathlib import Path

import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score

from radpath.errors import DataError, StorageError
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.evaluation.predictions import read_predictions
from radpath.recipes.evaluate_table import evaluate_table

SETTINGS = EvaluationSettings(replicates=100)


def row_by_hand(number: int) -> str:
    ill = number % 3 == 0
    return f"image {number},{'ill' if ill else 'well'},0.{30 + 2 * number + 9 * ill},{'AB'[number % 2]}\n"


HAND = "record_id,truth,probability:ill,site\n" + "".join(map(row_by_hand, range(30)))


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    path = tmp_path / "by hand.csv"
    path.write_text(HAND, encoding="utf-8")
    return path


def write_digits(path: Path) -> None:
    """Write what scikit-learn's logistic regression says of digits, with the sides it was made on."""
    digits = load_digits(n_class=3)
    side = ["train" if row % 3 == 0 else "validation" if row % 3 == 1 else "test" for row in range(len(digits.target))]
    training = [row for row, one in enumerate(side) if one == "train"]
    model = LogisticRegression(max_iter=200).fit(digits.data[training] / 16, digits.target[training])
    probabilities = model.predict_proba(digits.data / 16)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["record_id", "case", "split", "truth", *(f"probability:{name}" for name in model.classes_)])
        for row, values in enumerate(probabilities):
            writer.writerow([row, f"writer {row}", side[row], digits.target[row], *values.tolist()])


def test_scikit_learn_on_digits_gives_its_own_numbers_and_a_full_report(tmp_path: Path) -> None:
    table, out = tmp_path / "digits.csv", tmp_path / "report"
    write_digits(table)
    evaluation = evaluate_table(table, SETTINGS, out=out)
    read = read_predictions(table)
    rows = [row for row, side in enumerate(read.sides) if side == "test"]
    truth = [int(read.truth[row] or 0) for row in rows]
    area = roc_auc_score(truth, read.probabilities[rows], multi_class="ovr")
    assert evaluation.sides["test"].find("roc_auc") is not None
    assert evaluation.headline("test").value == pytest.approx(area, abs=1e-12)  # type: ignore[union-attr]  # see above
    accuracy = evaluation.sides["test"].find("accuracy")
    assert accuracy is not None
    assert accuracy.value == accuracy_score(truth, read.probabilities[rows].argmax(axis=1))
    page = (out / "report.html").read_text(encoding="utf-8")
    for part in ("How good are the predictions in digits.csv?", 'id="results"', 'id="calibration"', 'id="split"'):
        assert part in page
    assert (out / "model_card.md").is_file()
    assert (out / "figures" / "roc.svg").is_file()


def test_a_table_by_hand_with_three_columns_is_told_what_it_does_not_say(by_hand: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    evaluation = evaluate_table(by_hand, SETTINGS, out=out, assignments=["evaluation.replicates=100"])
    assert evaluation.positive_class == "ill"
    assert evaluation.threshold is not None
    assert evaluation.threshold.value == 0.5
    assert evaluation.warnings[0].startswith("The table has no column 'case': each image counts as a case of its own")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "The table has no column &#39;split&#39;" in page
    assert "--set evaluation.replicates=100" in page
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["warnings"] == list(evaluation.warnings)


def test_further_columns_are_characteristics(by_hand: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    evaluate_table(by_hand, SETTINGS.model_copy(update={"positive_class": "well"}), out=out)
    subgroups = json.loads((out / "analyses" / "subgroups.json").read_text(encoding="utf-8"))
    assert [one["column"] for one in subgroups["characteristics"]] == ["site"]
    assert subgroups["positive_class"] == "well"
    assert 'id="subgroups"' in (out / "report.html").read_text(encoding="utf-8")


def test_the_same_table_gives_the_same_bytes_and_is_left_as_it_is(by_hand: Path, tmp_path: Path) -> None:
    inside = tmp_path / "report" / "predictions.csv"
    inside.parent.mkdir()
    inside.write_bytes(by_hand.read_bytes())
    pages = []
    for _ in range(2):
        evaluate_table(inside, SETTINGS, out=inside.parent)
        pages.append((inside.parent / "report.html").read_bytes())
    assert pages[0] == pages[1]
    assert inside.read_bytes() == by_hand.read_bytes()


def test_the_completed_table_reads_strictly(by_hand: Path, tmp_path: Path) -> None:
    evaluate_table(by_hand, SETTINGS, out=tmp_path / "report")
    completed = read_predictions(tmp_path / "report" / "predictions.csv")
    assert completed.classes == ("well", "ill")
    assert completed.cases[:2] == ("image 0", "image 1")


def test_a_table_without_any_truth_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("record_id,probability:ill\na,0.5\n", encoding="utf-8")
    with pytest.raises(DataError, match="no image has a label, so nothing can be evaluated"):
        evaluate_table(path, SETTINGS, out=None)


def test_a_run_is_never_overwritten(by_hand: Path, tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="is a run, whose own numbers would be replaced; choose another folder"):
        evaluate_table(by_hand, SETTINGS, out=tmp_path)
