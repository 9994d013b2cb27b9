"""Drift is found where it was planted and nowhere else, one value a case, without a look at any label."""

import dataclasses
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter
from scipy import stats

from radpath.evaluation.drift import Drift, DriftSettings, Shift, assess_drift
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import Threshold
from radpath.records import Side

MakePredictions = Callable[..., Predictions]

HALF = Threshold(
    positive_class="malignant", value=0.5, rule="half", fitted_on=None, num_images=0, num_positive=0,
    sensitivity=None, specificity=None,
)  # fmt: skip


def only_test(predictions: Predictions) -> Predictions:
    side: Side = "test"
    return dataclasses.replace(predictions, sides=(side,) * len(predictions))


def known(predictions: Predictions, *, seed: int, brighter: float = 0.0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    of_case = {case: generator.normal(100 + brighter, 10) for case in sorted(set(predictions.cases))}
    scanner = {case: generator.choice(["A", "B"]) for case in of_case}
    return pl.DataFrame(
        {
            "record_id": predictions.record_ids,
            "level": [of_case[case] for case in predictions.cases],
            "scanner": [scanner[case] for case in predictions.cases],
            "format": ["PNG"] * len(predictions),
        }
    )


@pytest.fixture(scope="module")
def seen(make_predictions: MakePredictions) -> Predictions:
    return make_predictions(0, cases_per_side=60)


@pytest.fixture(scope="module")
def new(make_predictions: MakePredictions) -> Predictions:
    return only_test(make_predictions(1, cases_per_side=30))


def compare(seen: Predictions, new: Predictions, **changes: object) -> Drift:
    values = {
        "threshold": HALF,
        "seen_characteristics": known(seen, seed=0),
        "new_characteristics": known(new, seed=1),
        "settings": DriftSettings(),
    }
    return assess_drift(seen, new, **{**values, **changes})  # type: ignore[arg-type]  # chosen by name


def shift_of(drift: Drift, name: str) -> Shift:
    return next(shift for shift in drift.shifts if shift.name == name)


def test_without_drift_nothing_is_found_and_what_never_varies_is_left_out(seen: Predictions, new: Predictions) -> None:
    drift = compare(seen, new)
    assert [(shift.name, shift.kind, shift.compared_with) for shift in drift.shifts] == [
        ("level", "input", "train"),
        ("scanner", "input", "train"),
        ("probability of malignant", "output", "test"),
        ("decision", "output", "test"),
        ("entropy (bits)", "output", "test"),
    ]
    assert all(shift.p_adjusted is not None and shift.p_adjusted > 0.05 for shift in drift.shifts)


def test_brighter_images_are_found_with_the_size_of_the_difference(seen: Predictions, new: Predictions) -> None:
    brighter = known(new, seed=1, brighter=15)
    level = shift_of(compare(seen, new, new_characteristics=brighter), "level")
    old = known(seen, seed=0)
    training = [row for row, side in enumerate(seen.sides) if side == "train"]
    of_old = pl.DataFrame({"case": [seen.cases[row] for row in training], "level": old["level"][training]})
    of_new = pl.DataFrame({"case": new.cases, "level": brighter["level"]})
    one, other = (table.group_by("case").mean()["level"].to_numpy() for table in (of_old, of_new))
    assert level.p_value == pytest.approx(stats.ks_2samp(one, other).pvalue)
    assert level.difference == pytest.approx(
        (other.mean() - one.mean()) / np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
    )
    assert level.p_adjusted is not None
    assert level.p_adjusted < 0.001
    assert level.stability is not None
    assert level.stability > 0.25


def test_outputs_that_moved_are_found_against_the_test_side(seen: Predictions, new: Predictions) -> None:
    odds = new.probabilities[:, 1] / new.probabilities[:, 0] * 6
    moved = dataclasses.replace(new, probabilities=np.column_stack([1 / (1 + odds), odds / (1 + odds)]))
    drift = compare(seen, moved)
    for name in ("probability of malignant", "decision"):
        p_adjusted = shift_of(drift, name).p_adjusted
        assert p_adjusted is not None
        assert p_adjusted < 0.05


def test_the_same_number_written_otherwise_is_no_drift(seen: Predictions, new: Predictions) -> None:
    written = [
        pl.DataFrame({"record_id": one.record_ids, "grade": [texts[int(case[-1]) % 2] for case in one.cases]})
        for one, texts in ((seen, ("1", "2")), (new, ("1.0", "2.0")))
    ]
    grade = shift_of(compare(seen, new, seen_characteristics=written[0], new_characteristics=written[1]), "grade")
    assert grade.seen == grade.new == "1 50 %, 2 50 %"
    assert grade.p_value == pytest.approx(1)


def test_what_is_not_known_of_new_images_is_no_value_that_they_have(seen: Predictions, new: Predictions) -> None:
    old = pl.DataFrame({"record_id": seen.record_ids, "sex": ["FM"[int(case[-1]) % 2] for case in seen.cases]})
    nothing = pl.DataFrame({"record_id": new.record_ids, "sex": [""] * len(new)})
    sex = shift_of(compare(seen, new, seen_characteristics=old, new_characteristics=nothing), "sex")
    assert (sex.num_new, sex.new, sex.test, sex.p_value) == (0, "not known", "none", None)
    assert sex.note == "not tested: 0 cases on one side"


def test_labels_are_not_looked_at(seen: Predictions, new: Predictions) -> None:
    nothing = [dataclasses.replace(one, truth=(None,) * len(one)) for one in (seen, new)]
    assert compare(*nothing) == compare(seen, new)


def test_many_images_of_a_case_are_no_more_evidence_than_one(seen: Predictions, new: Predictions) -> None:
    rows = np.repeat(np.arange(len(new)), 5)
    many = Predictions(
        record_ids=tuple(f"{new.record_ids[row]} copy {place}" for place, row in enumerate(rows)),
        cases=tuple(new.cases[row] for row in rows),
        sides=new.sides[:1] * len(rows),
        truth=tuple(new.truth[row] for row in rows),
        probabilities=new.probabilities[rows],
        classes=new.classes,
    )
    copied = known(new, seed=1)[rows.tolist()].with_columns(record_id=pl.Series(many.record_ids))
    once, often = compare(seen, new), compare(seen, many, new_characteristics=copied)
    for name in ("level", "scanner", "probability of malignant"):
        assert shift_of(often, name).p_value == pytest.approx(shift_of(once, name).p_value)


def test_few_cases_are_described_and_not_tested(seen: Predictions, new: Predictions) -> None:
    drift = compare(seen, new, settings=DriftSettings(min_cases=500))
    assert all(shift.test == "none" and shift.p_value is None for shift in drift.shifts)
    assert shift_of(drift, "level").note == "not tested: 60 cases on one side"
    assert shift_of(drift, "level").seen.startswith("10")


def test_without_characteristics_outputs_alone_are_compared(seen: Predictions, new: Predictions) -> None:
    drift = compare(seen, new, new_characteristics=None)
    assert {shift.kind for shift in drift.shifts} == {"output"}


def test_several_classes_have_a_probability_each(make_predictions: MakePredictions) -> None:
    classes = ("a", "b", "c")
    seen, new = make_predictions(0, classes=classes), only_test(make_predictions(1, classes=classes))
    drift = compare(seen, new, threshold=None)
    assert [shift.name for shift in drift.shifts if shift.name.startswith("prob")] == [
        f"probability of {c}" for c in classes
    ]


def test_a_journey_through_json_changes_nothing(seen: Predictions, new: Predictions) -> None:
    drift, adapter = compare(seen, new), TypeAdapter(Drift)
    assert adapter.validate_json(adapter.dump_json(drift)) == drift
