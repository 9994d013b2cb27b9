"""A made run for the report: every number is drawn from a seed, every text can be chosen."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from radpath.data.manifest import Finding
from radpath.evaluation.comparison import Contender, compare
from radpath.evaluation.comparison_disagreement import disagreements
from radpath.evaluation.evaluate import EvaluationSettings, evaluate
from radpath.evaluation.predictions import Predictions
from radpath.records import SIDES, Side
from radpath.reporting.compare import CompareContent, ComparedRun
from radpath.reporting.content import (
    Check,
    Choice,
    DataSummary,
    Epoch,
    Exclusion,
    Mistake,
    ReportContent,
    Sample,
    SideCounts,
    SplitSummary,
    TrainingSummary,
)
from radpath.reporting.thumbnails import thumbnail

ContentMaker = Callable[..., ReportContent]


def made_predictions(
    classes: Sequence[str], *, sides: Sequence[Side] = SIDES, images_per_side: int = 24, seed: int = 0
) -> Predictions:
    """Return noisy predictions, two images a case; every class is on every side."""
    rng = np.random.default_rng(seed)
    truth, where, cases = [], [], []
    for side in sides:
        for number in range(images_per_side):
            truth.append((number // 2) % len(classes))
            where.append(side)
            cases.append(f"{side}-{number // 2}")
    scores = rng.normal(size=(len(truth), len(classes))) + 1.3 * np.eye(len(classes))[truth]
    powers = np.exp(scores)
    return Predictions(
        record_ids=tuple(f"images/{case}_{row}.png" for row, case in enumerate(cases)),
        cases=tuple(cases),
        sides=tuple(where),
        truth=tuple(classes[place] for place in truth),
        probabilities=powers / powers.sum(axis=1, keepdims=True),
        classes=tuple(classes),
    )


def counts_of(predictions: Predictions, side: Side) -> SideCounts:
    """Return the counts that a split table shows."""
    rows = [row for row, where in enumerate(predictions.sides) if where == side]
    cases = {name: {predictions.cases[r] for r in rows if predictions.truth[r] == name} for name in predictions.classes}
    return SideCounts(
        side=side,
        num_images=len(rows),
        num_cases=len({predictions.cases[row] for row in rows}),
        images_per_class={n: sum(predictions.truth[row] == n for row in rows) for n in predictions.classes},
        cases_per_class={name: len(members) for name, members in cases.items()},
    )


def made_picture(seed: int, *, shape: tuple[int, ...] = (40, 60, 3)) -> bytes:
    rng = np.random.default_rng(seed)
    return thumbnail(rng.integers(0, 256, shape, dtype=np.uint8))


def make_content(  # one knob for each thing that a test varies
    classes: Sequence[str] = ("benign", "malignant"),
    *,
    sides: Sequence[Side] = SIDES,
    images_per_side: int = 24,
    one_size: bool = False,
    num_epochs: int = 3,
    leaks: str = "passed",
    num_cases_assumed: int = 0,
    predictions: Predictions | None = None,
    num_exclusions: int = 1,
    num_samples: int = 2,
) -> ReportContent:
    """Return the content of a whole report."""
    made = predictions or made_predictions(classes, sides=sides, images_per_side=images_per_side)
    present = [side for side in SIDES if side in made.sides]
    rng = np.random.default_rng(1)
    num_images, num_cases = len(made), len(set(made.cases))
    sizes = {s: np.exp(rng.normal(4.5, 0.4, (made.sides.count(s), 2))).astype(int) for s in present}
    if one_size:
        sizes = {side: np.full_like(values, 28) for side, values in sizes.items()}
    wrong = [row for row, side in enumerate(made.sides) if side == present[-1]][:4]
    return ReportContent(
        title="Lesions",
        question=f"Which of {', '.join(classes)} does the image show?",
        command="radpath fit images --labels labels.csv",
        created="2024-05-06 07:08 UTC",
        data=DataSummary(
            images="images",
            labels="labels.csv",
            num_found=num_images + num_exclusions,
            num_cases_found=num_cases + num_exclusions,
            num_kept=num_images,
            num_cases_kept=num_cases,
            num_cases_assumed=num_cases_assumed,
            kinds={"PNG, RGB, 8 bit": num_images},
            sizes_px=sizes,
            exclusions=tuple(
                Exclusion(reason=f"reason {n}", num_images=1, num_cases=1, examples=(f"images/bad_{n}.png is cut off",))
                for n in range(num_exclusions)
            ),
            findings=(
                Finding(kind="labels-without-images", severity="warning", count=2, message="2 labels have no image",
                        examples=("case-7", "case-9")),
            ),
        ),
        samples={
            name: tuple(Sample(picture=made_picture(n), caption=f"{name}/{n}.png") for n in range(num_samples))
            for name in classes
        },
        split=SplitSummary(
            method="By case, stratified by class, seed 0.",
            sides=tuple(counts_of(made, side) for side in present),
            checks=(
                Check(what="No case on two sides", outcome="passed", detail=f"{num_cases} cases"),
                Check(what="No identical image on two sides", outcome=leaks, detail="2 pairs"),  # type: ignore[arg-type]  # any of the three words
            ),
        ),
        plan=(Choice(setting="pixels.size_px", value="128", reason="the median of the longer side is 120"),),
        training=TrainingSummary(
            model="tf_efficientnet_lite0, frozen, with a linear head.",
            history=tuple(
                Epoch(
                    epoch=n, train_loss=0.7 / n, learning_rate=1e-3, seconds=2.0,
                    validation_loss=0.8 / n if "validation" in present else None,
                    validation_auc=1 - 0.4 / n if "validation" in present else None,
                )
                for n in range(1, num_epochs + 1)
            ),
            chosen_epoch=num_epochs or None,
            chosen_by="highest validation AUC",
            padded_share=dict.fromkeys(present, 0.125),
        ),
        evaluation=evaluate(made, EvaluationSettings(replicates=100)),
        predictions=made,
        mistakes=tuple(
            Mistake(
                picture=made_picture(row, shape=(30, 30)),
                record_id=made.record_ids[row],
                case=made.cases[row],
                truth=made.truth[row] or "",
                decision=classes[-1],
                probability_of_truth=0.01,
            )
            for row in wrong
        ),
        settings={"training.epochs": "3", "split.leaks": "stop"},
        environment={"radpath": "0.1.0", "seed": "0"},
    )  # fmt: skip


@pytest.fixture(scope="session")
def new_content() -> ContentMaker:
    """The maker of contents, as a fixture because tests are not a package."""
    return make_content


@pytest.fixture(scope="session")
def two_classes() -> ReportContent:
    """The report of an ordinary binary run."""
    return make_content()


@pytest.fixture(scope="session")
def four_classes() -> ReportContent:
    """The report of an ordinary run with four classes."""
    return make_content(("normal", "benign", "in situ", "invasive"))


def make_comparison(
    classes: Sequence[str] = ("benign", "malignant"),
    *,
    names: Sequence[str] = ("plain", "wide", "blind"),
    with_pictures: bool = False,
) -> CompareContent:
    """Return the page of some models: two that are alike, and from the third on blind ones; 2 images a case."""
    made = made_predictions(classes, images_per_side=60)
    uniform = np.random.default_rng(1).dirichlet(np.ones(len(classes)), size=len(made))
    told = [made.probabilities, 0.98 * made.probabilities + 0.02 * uniform, uniform]
    positive = classes[-1] if len(classes) == 2 else None
    contenders = tuple(
        Contender(name=name, predictions=dataclasses.replace(made, probabilities=told[min(place, 2)]), threshold=None)
        for place, name in enumerate(names)
    )
    found = disagreements(contenders, "test")
    runs = tuple(ComparedRun(name=name, place=f"runs/{name}", decides="The highest.", cases="") for name in names)
    return CompareContent(
        comparison=compare(contenders, positive_class=positive, replicates=300),
        contenders=contenders,
        disagreements=found,
        runs=runs,
        command="radpath compare plain wide blind",
        settings=(("training.seed", tuple(str(place) for place, _ in enumerate(names))),),
        pictures={one.record_id: made_picture(0) for one in found} if with_pictures else {},
        cautions=("Take care.",),
    )


@pytest.fixture(scope="session")
def new_comparison() -> Callable[..., CompareContent]:
    """The maker of comparisons, as a fixture because tests are not a package."""
    return make_comparison


@pytest.fixture(scope="session")
def compared() -> CompareContent:
    """An ordinary comparison of three models in two classes."""
    return make_comparison()
