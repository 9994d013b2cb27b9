"""The section on subgroups: numbers with intervals, reasons in place of numbers, and a drawing that says both."""

import dataclasses

import pytest

from radpath.evaluation.group_numbers import GroupEstimate
from radpath.evaluation.subgroups import Characteristic, Subgroup, Subgroups
from radpath.reporting.blocks import Drawing, Note, Number, Paragraph, Table
from radpath.reporting.subgroups_section import subgroups_section


def estimate(metric: str, value: float | None, difference: float | None = None) -> GroupEstimate:
    def near(number: float | None, shift: float) -> float | None:
        return None if number is None else number + shift

    return GroupEstimate(
        metric=metric,
        value=value,
        low=near(value, -0.1),
        high=near(value, 0.05),
        difference=difference,
        difference_low=near(difference, -0.1),
        difference_high=near(difference, 0.1),
        p_value=None if difference is None else 0.001,
        p_adjusted=None if difference is None else 0.004,
        note="too few: 3 cases of 'yes'" if value is None else None,
    )


def group(name: str, cases: int, *estimates: GroupEstimate, smallest: bool = False) -> Subgroup:
    return Subgroup(
        name=name,
        num_images=2 * cases,
        num_cases=cases,
        cases_per_class={"no": cases - cases // 2, "yes": cases // 2},
        is_smallest=smallest,
        estimates=estimates,
    )


@pytest.fixture
def found() -> Subgroups:
    return Subgroups(
        side="test",
        positive_class="yes",
        min_cases=10,
        confidence=0.95,
        replicates=2000,
        whole=group("all", 106, estimate("roc_auc", 0.9), estimate("accuracy", 0.8)),
        characteristics=(
            Characteristic(
                column="site",
                edges=None,
                groups=(
                    group("<north>", 60, estimate("roc_auc", 0.85, -0.12), estimate("accuracy", 0.82, 0.02)),
                    group("south", 40, estimate("roc_auc", 0.93, 0.08), estimate("accuracy", 0.79, -0.02)),
                    group("west", 6, estimate("roc_auc", None), estimate("accuracy", None), smallest=True),
                ),
            ),
        ),
        left_out=("'scanner' divides the images exactly as 'site' does: their effects cannot be told apart.",),
    )


def test_every_group_has_its_counts_numbers_and_reasons(found: Subgroups) -> None:
    numbers, differences = (block for block in subgroups_section(found).blocks if isinstance(block, Table))
    assert numbers.columns == ("Group", "Images", "Cases", "Positive cases", "ROC AUC", "Accuracy")
    assert [row[0] for row in numbers.rows] == ["all", "site: <north>", "site: south", "site: west (smallest)"]
    assert numbers.rows[1][4] == Number(text="0.850", value=0.85, low=0.85 - 0.1, high=0.85 + 0.05)
    assert numbers.rows[3][4] == Number(text="too few", value=None, note="too few: 3 cases of 'yes'")
    assert differences.columns == ("Group", "ROC AUC", "ROC AUC: p", "Accuracy", "Accuracy: p")
    difference, p_value = differences.rows[0][1:3]
    assert isinstance(difference, Number)
    assert isinstance(p_value, Number)
    assert (difference.text, p_value.text) == ("-0.120", "0.001 (0.004)")
    assert all(len(row) == len(table.columns) for table in (numbers, differences) for row in table.rows)


def test_what_a_reader_must_not_miss_is_said(found: Subgroups) -> None:
    blocks = subgroups_section(found).blocks
    notes = [block.text for block in blocks if isinstance(block, Note)]
    assert notes == [*found.left_out, "Too few cases for any claim, by site: west (6 cases)."]
    texts = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "at least 10 cases stand behind each class" in texts
    assert "4 differences of a group to all other images could be tested" in texts
    assert "ROC AUC of site <north> (-0.120)" in texts


def test_two_groups_are_compared_once_and_what_has_no_test_says_why(found: Subgroups) -> None:
    north, south, _ = found.characteristics[0].groups
    untested = dataclasses.replace(north.estimates[0], p_value=None, p_adjusted=None, difference_note="no test: of 1")
    second = [dataclasses.replace(one, p_value=None, p_adjusted=None) for one in south.estimates]
    groups = (
        dataclasses.replace(north, estimates=(untested, north.estimates[1])),
        dataclasses.replace(south, estimates=tuple(second)),
    )
    halves = dataclasses.replace(found, characteristics=(Characteristic(column="site", edges=None, groups=groups),))
    section = subgroups_section(halves)
    _, differences = (block for block in section.blocks if isinstance(block, Table))
    ((name, difference, p_value, *_),) = differences.rows
    assert name == "site: <north> minus south"
    assert isinstance(difference, Number)
    assert difference.text == "-0.120"
    assert p_value == Number(text="no test", value=None, note="no test: of 1")
    texts = " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))
    assert "1 difference of a group" in texts
    assert "Accuracy of site <north> minus south (+0.020)." in texts


def test_where_no_difference_could_be_tested_that_is_said(found: Subgroups) -> None:
    north = found.characteristics[0].groups[0]
    untested = tuple(dataclasses.replace(one, p_value=None, p_adjusted=None) for one in north.estimates)
    group_of_each = tuple(dataclasses.replace(north, name=name, estimates=untested) for name in "abc")
    alone = dataclasses.replace(
        found, characteristics=(Characteristic(column="site", edges=None, groups=group_of_each),)
    )
    texts = [block.text for block in subgroups_section(alone).blocks if isinstance(block, Paragraph)]
    assert texts[1] == "No difference could be tested."


def test_the_drawing_says_in_words_what_it_shows(found: Subgroups) -> None:
    (drawing,) = (block for block in subgroups_section(found).blocks if isinstance(block, Drawing))
    assert "site: &lt;north&gt; 0.850 (0.750 to 0.900)" in drawing.svg
    assert "site: west (smallest) too few: 3 cases of &#x27;yes&#x27;" in drawing.svg
    assert drawing.svg == next(block.svg for block in subgroups_section(found).blocks if isinstance(block, Drawing))


def test_without_any_large_group_there_is_no_drawing_and_no_comparison(found: Subgroups) -> None:
    west = found.characteristics[0].groups[2]
    small = dataclasses.replace(
        found, characteristics=(Characteristic(column="site", edges=None, groups=(west, west)),)
    )
    blocks = subgroups_section(small).blocks
    assert not any(isinstance(block, Drawing) for block in blocks)
    assert any(isinstance(block, Paragraph) and block.text.startswith("No two groups are large") for block in blocks)


def test_columns_that_were_asked_for_in_vain_are_told_alone(found: Subgroups) -> None:
    alone = dataclasses.replace(found, characteristics=(), left_out=("Nothing says the sex of any image.",))
    blocks = subgroups_section(alone).blocks
    assert [type(block) for block in blocks] == [Paragraph, Note]
