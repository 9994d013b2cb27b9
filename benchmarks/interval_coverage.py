"""How often 95 % intervals of the ROC AUC and of a sensitivity hold the true value, by kind, size and clustering.

Scores of both classes are normal, so that the truth is known: an AUC of 0.90, and a sensitivity of 0.85 at a fixed
threshold. 30 % of the cases are positive. Clustered images are five of a case, all of its class, whose scores correlate
with 0.5. Every study is judged by every kind of interval; "cases ignored" treats clustered images as independent.

    python benchmarks/interval_coverage.py [--repeats 400] [--replicates 1000] [--write]
"""

import argparse
import dataclasses
import datetime as dt
import itertools
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

from radpath.evaluation.estimates import Estimate, find
from radpath.evaluation.estimating import IntervalPlan, estimate_all
from radpath.evaluation.intervals import IntervalMethod
from radpath.evaluation.metrics import MetricSettings
from radpath.evaluation.sample import Sample
from radpath.progress import track
from radpath.seeding import generator_for

AUC, SENSITIVITY, PREVALENCE, CORRELATION, IMAGES_PER_CASE = 0.9, 0.85, 0.3, 0.5, 5
NUM_IMAGES = (50, 200, 1000)
SHIFT = math.sqrt(2) * float(stats.norm.ppf(AUC))
THRESHOLD = SHIFT - float(stats.norm.ppf(SENSITIVITY))
TRUTH = {"roc_auc": AUC, "sensitivity": SENSITIVITY}
METHODS: dict[str, tuple[IntervalMethod, bool]] = {
    "percentile": ("percentile", False),
    "percentile, stratified": ("percentile", True),
    "BCa": ("bca", False),
    "BCa, stratified": ("bca", True),
    "DeLong, Wilson": ("analytic", False),
}
IGNORED = "percentile, cases ignored"


def draw(generator: np.random.Generator, num_images: int, *, clustered: bool) -> Sample:
    """Return a study with at least two cases of each class."""
    per_case = IMAGES_PER_CASE if clustered else 1
    num_cases = num_images // per_case
    is_positive = generator.random(num_cases) < PREVALENCE
    is_positive[:4] = True, True, False, False
    shared = generator.normal(size=num_cases) * math.sqrt(CORRELATION if clustered else 0)
    case_of = np.repeat(np.arange(num_cases), per_case)
    own = generator.normal(size=num_images) * math.sqrt(1 - CORRELATION if clustered else 1)
    scores = shared[case_of] + own + SHIFT * is_positive[case_of]
    probabilities = stats.norm.cdf(scores - THRESHOLD)
    return Sample(
        classes=("benign", "malignant"),
        positive=1,
        truth=is_positive[case_of].astype(np.int64),
        decisions=(scores >= THRESHOLD).astype(np.int64),
        probabilities=np.column_stack([1 - probabilities, probabilities]),
        case_of=case_of,
        num_cases=num_cases,
    )


def judge(sample: Sample, method: IntervalMethod, *, stratified: bool, replicates: int, seed: int) -> list[Estimate]:
    """Return the AUC and the sensitivity with intervals."""
    plan = IntervalPlan(method=method, confidence=0.95, replicates=replicates, stratified=stratified)
    found = tuple(estimate_all(sample, tuple(TRUTH), MetricSettings(), plan, generator=generator_for(seed, "draws")))
    chosen = [find(found, metric, "malignant") for metric in TRUTH]
    return [one for one in chosen if one is not None]


def study(num_images: int, seed: int, *, clustered: bool, replicates: int) -> dict[tuple[str, str], Estimate]:
    """Return the estimates of one study, by method and metric."""
    sample = draw(generator_for(seed, "study", str(num_images)), num_images, clustered=clustered)
    found = {
        name: judge(sample, method, stratified=s, replicates=replicates, seed=seed)
        for name, (method, s) in METHODS.items()
    }
    if clustered:
        alone = dataclasses.replace(sample, case_of=np.arange(num_images), num_cases=num_images)
        found[IGNORED] = judge(alone, "percentile", stratified=False, replicates=replicates, seed=seed)
    return {(name, one.metric): one for name, estimates in found.items() for one in estimates}


def rows(repeats: int, replicates: int) -> Iterator[str]:
    """Yield the table, one row a size, clustering, number and method."""
    yield "| images | cases | number | interval | holds the truth | truth below | truth above | none | mean width |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for clustered, num_images in itertools.product((False, True), NUM_IMAGES):
        label = f"{num_images:,} images{', clustered' if clustered else ''}"
        seeds = track(range(repeats), total=repeats, what=label, unit="studies")
        studies = [study(num_images, seed, clustered=clustered, replicates=replicates) for seed in seeds]
        num_cases = num_images // IMAGES_PER_CASE if clustered else num_images
        for metric, name in itertools.product(TRUTH, [*METHODS, IGNORED] if clustered else METHODS):
            cells = summary([one[name, metric] for one in studies], TRUTH[metric])
            yield f"| {num_images:,} | {num_cases:,} | {metric} | {name} | {' | '.join(cells)} |"


def summary(estimates: list[Estimate], truth: float) -> list[str]:
    """Return coverage with its Monte Carlo error, the misses on both sides, absent intervals, and the mean width."""
    edges = np.array([(one.low, one.high) for one in estimates if one.low is not None], dtype=np.float64).reshape(-1, 2)
    below, above = (truth < edges[:, 0]).mean(), (truth > edges[:, 1]).mean()
    covered = 1 - below - above
    error = math.sqrt(max(covered * (1 - covered), 0) / len(edges))
    return [
        f"{covered:.1%} ± {error:.1%}",
        f"{below:.1%}",
        f"{above:.1%}",
        f"{1 - len(edges) / len(estimates):.1%}",
        f"{(edges[:, 1] - edges[:, 0]).mean():.3f}",
    ]


def main() -> None:
    """Print the table, and write it beside this script where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    command = " ".join(["python", "benchmarks/interval_coverage.py", *sys.argv[1:]])
    start, day = time.perf_counter(), dt.datetime.now(tz=dt.UTC).date()
    table = "\n".join(rows(options.repeats, options.replicates))
    text = f"""# Coverage of 95 % intervals, {day}

`{command}`: {options.repeats} studies each, {options.replicates:,} resamples,
{time.perf_counter() - start:.0f} s on one of {os.cpu_count()} shared cores, {platform.machine()},
Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}.

True AUC {AUC}, true sensitivity {SENSITIVITY}; {PREVALENCE:.0%} positive cases, at least two of each class; clustered:
{IMAGES_PER_CASE} images a case, correlation {CORRELATION} within a case. After ± stands the Monte Carlo error of the
share. "Truth below": the whole interval lies above the truth. Studies without an interval ("none") count in no other
column. DeLong and Wilson stand for evaluation.interval = "analytic".

{table}
"""
    print(text)
    if options.write:
        (Path(__file__).parent / "results" / f"interval_coverage-{day}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
