"""Tables as files: CSV that gives every bit back, LaTeX that shows what was written."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.reporting.blocks import Folded, Number, Paragraph, Section, Table
from radpath.reporting.table_files import latex_escaped, table_csv, table_latex, tables_of


def table_of(*rows: tuple[str | Number, ...], columns: tuple[str, ...] = ("Group", "AUC")) -> Table:
    return Table(name="groups", caption="A & B", columns=columns, rows=rows)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_number_comes_back_from_csv_to_the_last_bit(values: list[float]) -> None:
    text = table_csv(table_of(*((str(n), Number(text="x", value=value)) for n, value in enumerate(values))))
    assert [float(row["AUC"]) for row in csv.DictReader(io.StringIO(text))] == values


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S")), min_size=1))
@settings(max_examples=50, deadline=None)
def test_a_text_comes_back_from_csv(text: str) -> None:
    written = table_csv(table_of((text, Number(text="1", value=1.0))))
    assert next(csv.DictReader(io.StringIO(written)))["Group"] == text


def test_intervals_and_reasons_have_columns_of_their_own_where_there_are_any() -> None:
    rows = (
        ("a", Number(text="0.9", value=0.9, low=0.8, high=0.95), "x"),
        ("b", Number(text="none", value=None, note="too few"), "y"),
    )
    lines = table_csv(table_of(*rows, columns=("Group", "AUC", "Word"))).splitlines()
    assert lines == ["Group,AUC,AUC low,AUC high,AUC note,Word", "a,0.9,0.8,0.95,,x", "b,,,,too few,y"]


def test_the_total_is_the_last_row() -> None:
    table = Table(name="t", caption="", columns=("a", "n"), rows=(("x", "1"),), total=("all", "1"))
    assert table_csv(table).splitlines()[-1] == "all,1"
    assert "\\midrule\nall & 1" in table_latex(table)


def test_latex_has_an_interval_a_reason_and_a_caption() -> None:
    rows = (
        ("a_1", Number(text="0.90", value=0.9, low=0.8, high=0.95)),
        ("b", Number(text="none", value=None, note="100% tied")),
    )
    text = table_latex(table_of(*rows))
    assert r"\caption{A \& B}" in text
    assert r"a\_1 & 0.90 (0.80 to 0.95) \\" in text
    assert r"b & none\textsuperscript{1} \\" in text
    assert r"\textsuperscript{1} 100\% tied" in text
    assert r"\begin{tabular}{lr}" in text


@pytest.mark.parametrize("sign", ["\\", "{", "}", "$", "&", "#", "%", "_", "~", "^"])
def test_no_sign_that_latex_obeys_is_left_alone(sign: str) -> None:
    assert latex_escaped(sign) != sign
    assert latex_escaped(f"a{sign}b").startswith("a")


def test_tables_that_are_folded_are_found() -> None:
    folded = Folded(summary="more", blocks=(Paragraph(text="x"), table_of(("a", "b"))))
    assert [table.name for table in tables_of([Section(anchor="a", title="A", blocks=(folded,))])] == ["groups"]
