"""How fast the clustered bootstrap of the ROC AUC is, beside a plain loop over scikit-learn.

Run: ``python benchmarks/bootstrap_auc.py``. Aim: 2,000 resamples of 10,000 images in under 2 seconds. The loop is timed
on fewer resamples and extended; the ratio compares the two within one run, so a busy machine changes it little.
"""

import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from radpath.evaluation.intervals import resample_cases
from radpath.evaluation.ranking import rank, roc_auc_of, tally
from radpath.seeding import generator_for

NUM_IMAGES = 10_000
REPLICATES = 2_000
LOOP_REPLICATES = 50
ROUNDS = 5


def seconds(work: Callable[[], np.ndarray]) -> float:
    """Return how long a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the median of several rounds for one image a case and for four."""
    generator = np.random.default_rng(0)
    truth = generator.random(NUM_IMAGES) < 0.3
    scores = generator.normal(size=NUM_IMAGES) + truth
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; median of {ROUNDS}")
    for images_per_case in (1, 4):
        case_of = np.arange(NUM_IMAGES) // images_per_case
        num_cases = NUM_IMAGES // images_per_case

        def ours(case_of: np.ndarray = case_of, num_cases: int = num_cases) -> np.ndarray:
            ranking = rank(scores, truth, unit_of=case_of, num_units=num_cases)
            portions = resample_cases(
                num_cases, num_images=NUM_IMAGES, replicates=REPLICATES, generator=generator_for(0)
            )
            return np.concatenate([roc_auc_of(tally(ranking, weights)) for weights in portions])

        def loop(case_of: np.ndarray = case_of, num_cases: int = num_cases) -> np.ndarray:
            draws, areas = generator_for(0), []
            for _ in range(LOOP_REPLICATES):
                drawn = np.bincount(draws.integers(num_cases, size=num_cases), minlength=num_cases)
                rows = np.repeat(np.arange(NUM_IMAGES), drawn[case_of])
                areas.append(roc_auc_score(truth[rows], scores[rows]))
            return np.array(areas)

        np.testing.assert_allclose(ours()[:LOOP_REPLICATES], loop(), atol=1e-12)
        fast = statistics.median(seconds(ours) for _ in range(ROUNDS))
        slow = statistics.median(seconds(loop) for _ in range(ROUNDS)) * REPLICATES / LOOP_REPLICATES
        print(
            f"{REPLICATES:,} resamples of {num_cases:,} cases, {NUM_IMAGES:,} images: {fast:.2f} s; "
            f"loop over scikit-learn {slow:.1f} s; ratio {slow / fast:.0f}"
        )


if __name__ == "__main__":
    main()
