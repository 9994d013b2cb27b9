import pytest

from radpath.reporting.blocks import Number, Table
from radpath.reporting.table_layout import interval_of, lay_out


def test_a_note_that_several_cells_share_stands_once_and_each_cell_points_to_it() -> None:
    few = Number(text="none", value=None, note="too few cases")
    rows = (("a", few), ("b", few), ("c", Number(text="0.5", value=0.5, note="a tie")))
    laid = lay_out(Table(name="t", caption="", columns=("Group", "AUC"), rows=rows))
    assert laid.notes == ("too few cases", "a tie")
    assert [row[1].mark for row in laid.rows] == ["1", "1", "2"]
    assert laid.is_number == (False, True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0.91", "0.84 to 0.96"),
        ("91 %", "84 to 96 %"),
        ("91.2\N{NO-BREAK SPACE}%", "84.1 to 96.2\N{NO-BREAK SPACE}%"),
        ("about one", "0.841 to 0.962"),
    ],
)
def test_an_interval_has_the_decimals_of_its_number(text: str, shown: str) -> None:
    assert interval_of(Number(text=text, value=0.912, low=0.8411, high=0.9622)) == shown


def test_half_an_interval_is_none() -> None:
    assert interval_of(Number(text="0.9", value=0.9, low=0.8)) == ""
