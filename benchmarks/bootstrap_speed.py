"""How fast the clustered bootstrap of the ROC AUC is, beside a plain loop over scikit-learn.

Aim: 2,000 resamples of 10,000 images in under 2 seconds on one core. The loop is timed on 50 resamples and extended.
Both are timed in turn, on one thread, by the processor's time, which is that of the clock on an idle machine and does
not count what other programs do. First they must agree.

    python benchmarks/bootstrap_speed.py [--rounds 5] [--write]
"""

import argparse
import datetime as dt
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import roc_auc_score

from radpath.evaluation.intervals import resample_cases
from radpath.evaluation.ranking import rank, roc_auc_of, tally
from radpath.seeding import generator_for

NUM_IMAGES, REPLICATES, LOOP_REPLICATES = 10_000, 2_000, 50


def seconds(work: Callable[[], np.ndarray]) -> float:
    """Return how much of the processor's time a piece of work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def contenders(images_per_case: int) -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]:
    """Return radpath's bootstrap, and a loop that draws the same cases and asks scikit-learn each time."""
    generator = np.random.default_rng(0)
    truth = generator.random(NUM_IMAGES) < 0.3
    scores = generator.normal(size=NUM_IMAGES) + truth
    case_of, num_cases = np.arange(NUM_IMAGES) // images_per_case, NUM_IMAGES // images_per_case

    def ours() -> np.ndarray:
        ranking = rank(scores, truth, unit_of=case_of, num_units=num_cases)
        portions = resample_cases(num_cases, num_images=NUM_IMAGES, replicates=REPLICATES, generator=generator_for(0))
        return np.concatenate([roc_auc_of(tally(ranking, weights)) for weights in portions])

    def loop() -> np.ndarray:
        draws, areas = generator_for(0), []
        for _ in range(LOOP_REPLICATES):
            drawn = np.bincount(draws.integers(num_cases, size=num_cases), minlength=num_cases)
            rows = np.repeat(np.arange(NUM_IMAGES), drawn[case_of])
            areas.append(roc_auc_score(truth[rows], scores[rows]))
        return np.array(areas)

    return ours, loop


def rows(rounds: int) -> Iterator[str]:
    """Yield the table: the median of several rounds for one image a case and for four."""
    yield "| images | cases | radpath, 2,000 resamples | scikit-learn, 50 resamples x 40 | ratio |"
    yield "|---|---|---|---|---|"
    for images_per_case in (1, 4):
        ours, loop = contenders(images_per_case)
        np.testing.assert_allclose(ours()[:LOOP_REPLICATES], loop(), atol=1e-12)
        pairs = [(seconds(ours), seconds(loop) * REPLICATES / LOOP_REPLICATES) for _ in range(rounds)]
        fast, slow = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(slow / fast for fast, slow in pairs)
        yield f"| {NUM_IMAGES:,} | {NUM_IMAGES // images_per_case:,} | {fast:.2f} s | {slow:.1f} s | {ratio:.0f} |"


def main() -> None:
    """Print the table, and write it beside this script where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    day = dt.datetime.now(tz=dt.UTC).date()
    command = " ".join(["python", "benchmarks/bootstrap_speed.py", *sys.argv[1:]])
    table = "\n".join(rows(options.rounds))
    text = f"""# Speed of the clustered bootstrap of the ROC AUC, {day}

`{command}`: median of {options.rounds} rounds, both in turn.
Processor time on one thread of {os.cpu_count()} cores shared with other work, {platform.machine()},
Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}.
The ratio is the median of the rounds' ratios.

{table}
"""
    print(text)
    if options.write:
        (Path(__file__).parent / "results" / f"bootstrap_speed-{day}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
