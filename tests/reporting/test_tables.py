import dataclasses

from radpath.reporting.blocks import Number
from radpath.reporting.content import ReportContent
from radpath.reporting.tables import (
    class_tables,
    confusion_table,
    headline_tiles,
    history_table,
    number_of,
    results_table,
    split_table,
)


def test_every_side_has_a_cell_and_the_baseline_is_beside_it(two_classes: ReportContent) -> None:
    table = results_table(two_classes.evaluation, name="results")
    rows = {row[0]: row for row in table.rows}
    accuracy = two_classes.evaluation.sides["test"].find("accuracy")
    cell = rows["Accuracy"][1]
    assert accuracy is not None
    assert isinstance(cell, Number)
    assert (cell.value, cell.low, cell.high) == (accuracy.value, accuracy.low, accuracy.high)
    assert rows["Accuracy"][-1] == Number(text="0.500", value=0.5)
    assert table.columns == ("Metric", "Test", "Validation", "Training", "Most frequent class")
    assert all(len(row) == 5 for row in table.rows)
    assert "Brier score (lower is better)" in rows


def test_an_undefined_number_is_a_word_and_its_reason_a_note(two_classes: ReportContent) -> None:
    estimate = two_classes.evaluation.sides["test"].estimates[0]
    lost = dataclasses.replace(estimate, value=None, low=None, high=None, note="undefined: no images")
    assert number_of(lost) == Number(text="undefined", value=None, note="no images")


def test_the_headline_has_sensitivity_for_two_classes_only(
    two_classes: ReportContent, four_classes: ReportContent
) -> None:
    assert "Sensitivity" in [tile.label for tile in headline_tiles(two_classes.evaluation)]
    assert "Sensitivity" not in [tile.label for tile in headline_tiles(four_classes.evaluation)]


def test_class_tables_start_with_the_test_side_and_hold_every_class(four_classes: ReportContent) -> None:
    tables = class_tables(four_classes.evaluation)
    assert [table.name for table in tables] == ["classes-test", "classes-validation", "classes-train"]
    assert [row[0] for row in tables[0].rows] == list(four_classes.evaluation.classes)
    assert {row[2] for row in tables[0].rows} == {Number(text="3", value=3.0)}


def test_the_split_table_adds_up(four_classes: ReportContent) -> None:
    assert four_classes.split is not None
    table = split_table(four_classes.split.sides)
    assert table.total is not None
    values = [[cell.value for cell in row if isinstance(cell, Number)] for row in (*table.rows, table.total)]
    images = [(sum(v or 0 for v in row[:-1:2]), row[-1]) for row in values]
    assert all(of_sides == of_all for of_sides, of_all in images)
    assert values[-1][-1] == len(four_classes.predictions)


def test_the_confusion_table_holds_every_image(four_classes: ReportContent) -> None:
    table = confusion_table(four_classes.evaluation, name="confusion")
    counts = [cell.value for row in table.rows for cell in row if isinstance(cell, Number)]
    assert sum(value or 0 for value in counts) == four_classes.predictions.sides.count("test")


def test_an_epoch_without_validation_has_none_and_the_kept_one_is_marked(two_classes: ReportContent) -> None:
    assert two_classes.training is not None
    row = dataclasses.replace(two_classes.training.history[0], validation_loss=None, validation_auc=None)
    cells = history_table([row], chosen=1).rows[0]
    texts = [cell if isinstance(cell, str) else cell.text for cell in cells]
    dash = number_of(None)
    assert texts == ["1", "0.7000", dash, dash, "1.00e-03", "2.0", "kept"]
