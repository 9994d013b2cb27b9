"""How often models that are equally good are told apart: the type I error of every test of `radpath compare`.

Made models get scores from one distribution, so that no difference is real. Scores share what is hard about an image
and about a case; beside that, each model has a liking of its own for each case and each image. Printed is the share of
repetitions with p <= 0.05, for the tests as radpath makes them and for the same tests where images of one case are
taken for independent; and, among several equal models, the share in which any is marked as worse than the best.

    python benchmarks/comparison.py [--repeats 400] [--write]
"""

import argparse
import datetime as dt
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy

import radpath
from radpath.evaluation.comparison import Contender, compare
from radpath.evaluation.comparison_results import Comparison, marks
from radpath.evaluation.multiplicity import holm
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.thresholds import Threshold

LEVEL = 0.05
CLASSES = ("other", "wanted")
HALF = Threshold(
    positive_class="wanted", value=0.5, rule="half", fitted_on=None, num_images=0, num_positive=0, sensitivity=None,
    specificity=None,
)  # fmt: skip
SCENARIOS = ((40, 1), (200, 1), (40, 5), (200, 5))
"""Cases, and images of each."""


def equal_models(num_models: int, num_cases: int, images_a_case: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the probabilities of equally good models for the same images; every other case is positive."""
    case_of = np.repeat(np.arange(num_cases), images_a_case)
    shared = 1.2 * (case_of % 2 - 0.5) + 0.5 * rng.normal(size=num_cases)[case_of] + 0.5 * rng.normal(size=len(case_of))
    own = [0.5 * rng.normal(size=num_cases)[case_of] + 0.5 * rng.normal(size=len(case_of)) for _ in range(num_models)]
    return [1 / (1 + np.exp(-shared - one)) for one in own]


def contenders(scores: list[np.ndarray], case_of: np.ndarray, truth: np.ndarray) -> list[Contender]:
    """Return models whose images belong to the cases given."""
    known = {
        "record_ids": tuple(map(str, range(len(truth)))),
        "cases": tuple(map(str, case_of)),
        "sides": ("test",) * len(truth),
        "truth": tuple(CLASSES[place] for place in truth),
    }
    return [
        Contender(
            name=str(place),
            predictions=Predictions(**known, probabilities=np.stack([1 - one, one], axis=1), classes=CLASSES),  # type: ignore[arg-type] # texts by name
            threshold=HALF,
        )
        for place, one in enumerate(scores)
    ]


def p_values(found: Comparison) -> list[float]:
    """Return the p-values of one pair: DeLong, bootstrap of AUC and of accuracy, McNemar."""
    area, decision = found.area_differences[0].test, found.decision_differences[0].test
    bootstrap = [1.0 if one.p_value is None else one.p_value for one in found.differences]
    return [1.0 if area.p_value is None else area.p_value, *bootstrap, decision.fair_p_value]


def pair_rates(num_cases: int, images_a_case: int, *, repeats: int, replicates: int) -> Iterator[np.ndarray]:
    """Yield the false alarms of one repetition: the tests as they are, then those that take images for cases."""
    for seed in range(repeats):
        scores = equal_models(2, num_cases, images_a_case, np.random.default_rng([seed, num_cases, images_a_case]))
        case_of = np.repeat(np.arange(num_cases), images_a_case)
        rows = []
        for cases in (case_of, np.arange(len(case_of))) if images_a_case > 1 else (case_of,):
            found = compare(
                contenders(scores, cases, case_of % 2), metrics=("roc_auc", "accuracy"), positive_class="wanted",
                replicates=replicates, seed=seed,
            )  # fmt: skip
            rows.append([p_value <= LEVEL for p_value in p_values(found)])
        yield np.array(rows, dtype=float)


def best_rates(num_models: int, num_cases: int, *, repeats: int, replicates: int) -> Iterator[np.ndarray]:
    """Yield whether any model is called worse than the best: as marked, corrected for the best's pairs, uncorrected."""
    for seed in range(repeats):
        scores = equal_models(num_models, num_cases, 1, np.random.default_rng([seed, num_models, num_cases]))
        models = contenders(scores, np.arange(num_cases), np.arange(num_cases) % 2)
        found = compare(models, metrics=("roc_auc",), positive_class="wanted", replicates=replicates, seed=seed)
        with_best = [mark for mark in marks(found) if mark.to_best is not None]
        own = [mark.to_best.p_value for mark in with_best if mark.to_best is not None]
        few = [p_value for p_value in holm(own) if p_value is not None]
        yield np.array(
            [
                any(not mark.is_tied for mark in with_best),
                any(p_value <= LEVEL for p_value in few),
                any(p_value is not None and p_value <= LEVEL for p_value in own),
            ],
            dtype=float,
        )


def shown(rate: float, repeats: int) -> str:
    """Return a share with its Monte Carlo error."""
    return f"{100 * rate:.1f} ± {100 * np.sqrt(max(rate * (1 - rate), 1e-9) / repeats):.1f}"


def report(*, repeats: int, replicates: int) -> str:
    """Return the tables as Markdown."""
    what = (
        f"False alarms at p <= {LEVEL} among equal models, in percent, with the Monte Carlo error (one standard error) "
        f"of {repeats} repetitions; {replicates} resamples."
    )
    lines = [
        what,
        "",
        "| cases | images a case | images taken as | DeLong | bootstrap, AUC | bootstrap, accuracy | McNemar |",
        "|---|---|---|---|---|---|---|",
    ]
    for num_cases, images_a_case in SCENARIOS:
        rates = np.mean(list(pair_rates(num_cases, images_a_case, repeats=repeats, replicates=replicates)), axis=0)
        for name, row in zip(("of their cases", "independent"), rates, strict=False):
            cells = " | ".join(shown(rate, repeats) for rate in row)
            lines.append(f"| {num_cases} | {images_a_case} | {name} | {cells} |")
    lines += [
        "",
        "Any of several equal models called worse than the best, by ROC AUC, 100 cases:",
        "",
        "| models | radpath: corrected over all pairs | over the pairs with the best only | not corrected |",
        "|---|---|---|---|",
    ]
    for num_models in (3, 6):
        rates = np.mean(list(best_rates(num_models, 100, repeats=repeats, replicates=replicates)), axis=0)
        lines.append(f"| {num_models} | {' | '.join(shown(rate, repeats) for rate in rates)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=399)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/results/comparison-DATE.md")
    chosen = parser.parse_args()
    text = report(repeats=chosen.repeats, replicates=chosen.replicates)
    print(text)
    if chosen.write:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        heading = (
            f"# Type I error of comparisons, {today}\n\n`python {' '.join(sys.argv)}`; radpath {radpath.__version__}, "
            f"NumPy {np.__version__}, SciPy {scipy.__version__}, Python {platform.python_version()}, "
            f"{os.cpu_count()} cores ({platform.machine()}), shared with other work: shares do not depend on it.\n\n"
        )
        path = Path(__file__).parent / "results" / f"comparison-{today}.md"
        path.write_text(heading + text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
