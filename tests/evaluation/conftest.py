"""Made predictions for the tests of evaluation."""

from collections.abc import Callable

import numpy as np
import pytest

from radpath.evaluation.label_predictions import LabelPredictions
from radpath.evaluation.predictions import Predictions
from radpath.records import SIDES

MakePredictions = Callable[..., Predictions]


@pytest.fixture(scope="session")
def make_predictions() -> MakePredictions:
    """A function that makes predictions somewhat better than chance, with ties and several images a case."""

    def make(
        seed: int = 0,
        *,
        classes: tuple[str, ...] = ("benign", "malignant"),
        cases_per_side: int = 20,
        shares: tuple[float, ...] | None = None,
        skill: float = 1.0,
    ) -> Predictions:
        generator = np.random.default_rng(seed)
        case = np.repeat(np.arange(3 * cases_per_side), generator.integers(1, 4, size=3 * cases_per_side))
        truth = generator.choice(len(classes), size=len(case), p=shares)
        truth[: len(classes)] = np.arange(len(classes))
        logits = generator.normal(size=(len(case), len(classes))).round(1)
        logits[np.arange(len(case)), truth] += skill
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return Predictions(
            record_ids=tuple(f"image {i}" for i in range(len(case))),
            cases=tuple(f"case {i}" for i in case),
            sides=tuple(SIDES[i // cases_per_side] for i in case),
            truth=tuple(classes[i] for i in truth),
            probabilities=probabilities,
            classes=classes,
        )

    return make


MakeLabelPredictions = Callable[..., LabelPredictions]


@pytest.fixture(scope="session")
def make_label_predictions() -> MakeLabelPredictions:
    """A function that makes predictions of several labels, a tenth of which nobody knows, with ties."""

    def make(
        seed: int = 0,
        *,
        names: tuple[str, ...] = ("effusion", "mass", "nodule"),
        cases_per_side: int = 20,
        unknown: float = 0.1,
        skill: float = 1.0,
    ) -> LabelPredictions:
        generator = np.random.default_rng(seed)
        case = np.repeat(np.arange(3 * cases_per_side), generator.integers(1, 4, size=3 * cases_per_side))
        truth = (generator.random((len(case), len(names))) < 0.4).astype(np.float64)
        logits = generator.normal(size=truth.shape).round(1) + skill * (2 * truth - 1)
        truth[generator.random(truth.shape) < unknown] = np.nan
        return LabelPredictions(
            record_ids=tuple(f"image {i}" for i in range(len(case))),
            cases=tuple(f"case {i}" for i in case),
            sides=tuple(SIDES[i // cases_per_side] for i in case),
            truth=truth,
            probabilities=1 / (1 + np.exp(-logits)),
            names=names,
        )

    return make
