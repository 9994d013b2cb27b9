"""Causes are judged by what was measured, and stand in the agreed order where nothing tells them apart."""

import dataclasses
import math
from typing import Any

import pytest

from radpath.training.diagnosis import Failure, name_causes, step_rows
from radpath.training.evidence import BatchFacts, Evidence, Pass, Range
from radpath.training.watch import Step

FINE = (Range(where="stem", largest=2.0, num_not_finite=0), Range(where="head", largest=1.0, num_not_finite=0))
LOST = (FINE[0], Range(where="head", largest=1.0, num_not_finite=4))


def evidence(**changes: Any) -> Evidence:
    """Return what is measured of a run that stopped for no reason that can be seen, in its fifth step."""
    steps = tuple(Step(epoch=1, step=number, loss=0.7, gradient_norm=1.0, learning_rate=0.01) for number in range(1, 6))
    batch = BatchFacts(record_ids=("a", "b"), labels={"x": 1, "y": 1}, lowest=0.0, highest=1.0, not_finite={}, odd=())
    usual = Evidence(
        problem="the loss is nan in epoch 1, step 5",
        steps=steps,
        first_loss=0.7,
        num_made=4,
        chance_loss=0.69,
        precision="32-true",
        batch=batch,
        passed=Pass(loss=0.7, ranges=FINE),
        passed_exactly=Pass(loss=0.7, ranges=FINE),
        weights=FINE,
        class_weight_ratio=1.0,
    )
    return dataclasses.replace(usual, **changes)


def standings(of: Evidence) -> dict[str, str]:
    return {cause.name: cause.standing for cause in name_causes(of)}


def test_without_evidence_the_usual_order_holds() -> None:
    told = standings(evidence())
    assert list(told) == ["learning rate", "data", "initialisation", "loss", "precision"]
    assert list(told.values()) == ["possible", *["unlikely"] * 4]


def test_a_loss_that_rose_points_at_the_rate() -> None:
    risen = [dataclasses.replace(one, loss=0.7 * 10**place) for place, one in enumerate(evidence().steps)]
    cause = name_causes(evidence(steps=tuple(risen)))[0]
    assert (cause.name, cause.standing) == ("learning rate", "likely")
    assert cause.because == "at 0.01, the loss rose from 0.7 to 7e+03"
    assert "training.learning_rate = 0.001" in cause.remedy


def test_before_the_first_step_the_rate_is_not_to_blame() -> None:
    assert standings(evidence(num_made=0))["learning rate"] == "unlikely"


def test_a_continued_run_knows_nothing_of_its_first_step() -> None:
    told = standings(evidence(first_loss=None, num_made=0))
    assert (told["initialisation"], told["learning rate"]) == ("unlikely", "possible")


def test_numbers_lost_in_the_loss_alone_point_at_the_loss() -> None:
    lost = Pass(loss=math.nan, ranges=FINE)
    told = standings(evidence(passed=lost, passed_exactly=lost))
    assert next(iter(told.items())) == ("loss", "likely")
    assert told["initialisation"] != "likely"


def test_uneven_class_weights_are_possible() -> None:
    assert standings(evidence(class_weight_ratio=500.0))["loss"] == "possible"


def test_odd_images_are_possible() -> None:
    batch = dataclasses.replace(evidence().batch, odd=("a: all pixels are 3",))
    causes = name_causes(evidence(batch=batch))
    assert [(cause.name, cause.standing) for cause in causes[:2]] == [
        ("learning rate", "possible"),
        ("data", "possible"),
    ]
    assert causes[1].because.endswith("a: all pixels are 3")


@pytest.mark.parametrize(("exactly", "standing"), [(FINE, "likely"), (LOST, "unlikely")])
def test_precision_is_likely_only_where_32_bits_hold_what_it_loses(exactly: tuple[Range, ...], standing: str) -> None:
    of = evidence(
        precision="bf16-mixed",
        passed=Pass(loss=math.nan, ranges=LOST),
        passed_exactly=Pass(loss=0.7 if exactly is FINE else math.nan, ranges=exactly),
    )
    assert standings(of)["precision"] == standing


def test_json_holds_numbers_that_are_none_as_words() -> None:
    of = evidence(first_loss=math.inf)
    told = Failure(kept_epoch=3, causes=name_causes(of), evidence=of)
    assert told.to_dict()["evidence"]["first_loss"] == "inf"
    assert told.kept() == "epochs up to 3 are kept"
    assert told.told().startswith("the loss is nan in epoch 1, step 5; most likely the ")
    assert len(step_rows(of.steps)) == 6
