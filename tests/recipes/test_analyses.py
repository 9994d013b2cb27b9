"""Analyses are kept in files of their own, and the report's sections come from these files alone."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radpath.errors import DataError
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.recipes import analyses
from radpath.recipes.analyses import Analysis, Judged, analyse, read_analysis, read_sections
from radpath.reporting.blocks import Paragraph, Section


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Counted:
    num_images: int
    shares: dict[str, tuple[float | None, ...]]


def _count(judged: Judged) -> _Counted | None:
    known = [truth for truth in judged.predictions.truth if truth is not None]
    if len(known) < 3:
        return None
    return _Counted(num_images=len(known), shares={"a": (0.1 + 0.2, None)})


def _section(counted: Any) -> Section:
    return Section(anchor="counted", title="Counted", blocks=(Paragraph(text=f"{counted.num_images} images"),))


COUNTING = Analysis(name="counting", result=_Counted, assess=_count, section=_section)


@pytest.fixture(autouse=True)
def _only_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyses, "ANALYSES", (COUNTING,))


def _judged(num_images: int) -> Judged:
    predictions = Predictions(
        record_ids=tuple(f"{row}.png" for row in range(num_images)),
        cases=tuple(f"case {row}" for row in range(num_images)),
        sides=tuple("test" for _ in range(num_images)),
        truth=tuple("ab"[row % 2] for row in range(num_images)),
        probabilities=np.full((num_images, 2), 0.5),
        classes=("a", "b"),
    )
    settings = EvaluationSettings(replicates=100)
    evaluation = evaluate(predictions, settings)
    return Judged(predictions=predictions, evaluation=evaluation, settings=settings, characteristics=None)


def test_a_result_comes_back_to_the_last_bit_and_becomes_its_section(tmp_path: Path) -> None:
    analyse(_judged(4), tmp_path)
    assert read_analysis(COUNTING, tmp_path) == _Counted(num_images=4, shares={"a": (0.1 + 0.2, None)})
    (section,) = read_sections(tmp_path)
    assert section.blocks == (Paragraph(text="4 images"),)


def test_a_question_that_does_not_arise_any_more_leaves_no_old_answer(tmp_path: Path) -> None:
    analyse(_judged(4), tmp_path)
    analyse(_judged(2), tmp_path)
    assert read_sections(tmp_path) == ()


def test_a_damaged_file_is_named_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "analyses").mkdir()
    (tmp_path / "analyses" / "counting.json").write_text('{"num_images": "many", "shares": {}}')
    with pytest.raises(DataError, match=r"counting\.json is not what radpath wrote \(num_images: .*evaluate the run"):
        read_sections(tmp_path)
