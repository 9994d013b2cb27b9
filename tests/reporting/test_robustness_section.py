import dataclasses

import pytest

from radpath.evaluation.measured import Measured
from radpath.evaluation.robustness import Corruption, Robustness, Strength
from radpath.reporting.blocks import Drawing, Number, Paragraph, Table
from radpath.reporting.robustness_section import robustness_section


def measured(value: float, low: float, high: float) -> Measured:
    return Measured(value=value, low=float(low), high=float(high))


def strength(level: float, drop: float, *, certain: bool) -> Strength:
    edge = drop / 2 if certain else -0.1
    return Strength(
        level=float(level),
        metrics=(measured(0.9 - drop, 0.5, 0.95), measured(0.8, 0.7, 0.9), measured(0.7, 0.6, 0.8)),
        drops=(measured(drop, edge, 2 * drop), measured(0.1, 0, 0.2), measured(0.2, 0.1, 0.3)),
        flips=measured(drop / 2, 0, drop),
    )


def made(*, certain: bool) -> Robustness:
    return Robustness(
        side="test",
        positive_class="tumour",
        metrics=("roc_auc", "sensitivity", "specificity"),
        confidence=0.95,
        replicates=2000,
        num_images=40,
        num_cases=20,
        clean=(measured(0.9, 0.85, 0.95), measured(0.8, 0.7, 0.9), measured(0.7, 0.6, 0.8)),
        corruptions=(
            Corruption(
                name="blur",
                parameter="px",
                strengths=(strength(1, 0.01, certain=False), strength(2, 0.1, certain=certain)),
            ),
            Corruption(name="jpeg", parameter="quality", strengths=(strength(80, 0.02, certain=certain),)),
            Corruption(name="noise", parameter="of 0 to 1", strengths=(strength(0.1, 0.03, certain=False),)),
        ),
        model="m",
    )


def test_the_section_names_what_harms_from_which_strength_on_and_the_largest_drop() -> None:
    verdict = robustness_section(made(certain=True)).blocks[1]
    assert isinstance(verdict, Paragraph)
    assert "under blur from 2 on, JPEG from 80 on; the largest drop is 0.100" in verdict.text
    assert "under blur 2." in verdict.text


def test_nothing_is_claimed_where_no_drop_is_certain() -> None:
    verdict = robustness_section(made(certain=False)).blocks[1]
    assert isinstance(verdict, Paragraph)
    assert "In no kind of change is it lower beyond chance at the strongest" in verdict.text
    assert "not corrected for 4 strengths" in verdict.text


def test_a_strength_counts_only_if_every_stronger_one_falls_too() -> None:
    strengths = (strength(1, 0.1, certain=True), strength(2, 0.1, certain=False), strength(3, 0.1, certain=True))
    blur = Corruption(name="blur", parameter="px", strengths=strengths)
    shown = robustness_section(dataclasses.replace(made(certain=True), corruptions=(blur,))).blocks[1]
    assert isinstance(shown, Paragraph)
    assert "under blur from 3 on;" in shown.text


def test_the_table_has_a_row_for_the_images_as_they_are_and_one_a_strength() -> None:
    table = robustness_section(made(certain=True)).blocks[-1]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["as they are", "blur", "blur", "JPEG", "noise"]
    assert all(len(row) == len(table.columns) for row in table.rows)
    drop = table.rows[2][-2]
    assert isinstance(drop, Number)
    assert (drop.value, drop.low, drop.high) == pytest.approx((0.1, 0.05, 0.2))
    assert "blur: px; JPEG: quality" in table.caption


def test_the_drawing_says_every_number_in_words_and_is_the_same_every_time() -> None:
    drawings = [robustness_section(made(certain=True)).blocks[-2] for _ in range(2)]
    assert isinstance(drawings[0], Drawing)
    assert "As they are: 0.900 (0.850 to 0.950). blur: 1 gives 0.890 (0.500 to 0.950)" in drawings[0].svg
    assert drawings[0] == drawings[1]
