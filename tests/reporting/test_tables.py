import dataclasses

from radpath.reporting.content import ReportContent
from radpath.reporting.tables import cell_of, class_tables, epoch_rows, headline_tiles, result_rows, split_rows


def test_every_side_has_a_cell_and_the_baseline_is_beside_it(two_classes: ReportContent) -> None:
    rows = {row.label: row for row in result_rows(two_classes.evaluation)}
    accuracy = two_classes.evaluation.sides["test"].find("accuracy")
    cell = rows["Accuracy"].cells[0]
    assert accuracy is not None
    assert cell is not None
    assert cell.value == f"{accuracy.value:.3f}"
    assert cell.interval == f"{accuracy.low:.3f} to {accuracy.high:.3f}"
    assert rows["Accuracy"].baseline == "0.500"
    assert all(len(row.cells) == 3 for row in rows.values())
    assert rows["Brier score"].falls


def test_the_headline_has_sensitivity_for_two_classes_only(
    two_classes: ReportContent, four_classes: ReportContent
) -> None:
    assert "Sensitivity" in [tile.label for tile in headline_tiles(two_classes.evaluation)]
    assert "Sensitivity" not in [tile.label for tile in headline_tiles(four_classes.evaluation)]


def test_class_tables_start_with_the_test_side_and_hold_every_class(four_classes: ReportContent) -> None:
    tables = class_tables(four_classes.evaluation)
    assert [table.caption for table in tables] == [
        "Each class on the test side.",
        "Each class on the validation side.",
        "Each class on the training side.",
    ]
    assert [row.name for row in tables[0].rows] == list(four_classes.evaluation.classes)
    assert {row.num_cases for row in tables[0].rows} == {"3"}


def test_split_rows_add_up(four_classes: ReportContent) -> None:
    rows = split_rows(four_classes.split)
    assert sum(int(row.total) for row in rows) == len(four_classes.predictions)


def test_an_epoch_without_validation_says_none(two_classes: ReportContent) -> None:
    row = dataclasses.replace(two_classes.training.history[0], validation_loss=None, validation_auc=None)
    only = epoch_rows([row], chosen=1)[0]
    assert only.chosen
    assert only.cells == ("0.7000", "none", "none", "1.00e-03", "2.0")


def test_an_estimate_that_was_not_made_has_no_cell() -> None:
    assert cell_of(None) is None
