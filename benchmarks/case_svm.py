"""Which cases the SVM of cases should learn from: validation alone, or training too, by number of validation cases.

The made network knows its training images by heart: their logits are larger and lie on the side of the truth. Printed
is the mean over repetitions of the ROC AUC and the log loss of 300 new cases, beside the mean of the k probabilities.

    python benchmarks/case_svm.py [--repeats 12] [--write]
"""

import argparse
import datetime as dt
import platform
import sys
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import log_loss, roc_auc_score

from radpath.evaluation.case_svm import fit_svm
from radpath.records import Side

TRAINING_CASES, TEST_CASES, K = 80, 300, 25
VALIDATION_CASES = (10, 14, 20, 30, 50)

Cases = tuple[np.ndarray, np.ndarray]


def draw_cases(generator: np.random.Generator, num_cases: int, *, memorised: bool) -> Cases:
    """Return the k largest probabilities of each case (cases, k), and which cases are positive (two fifths)."""
    is_positive = generator.random(num_cases) < 0.4
    is_positive[:3], is_positive[3:6] = True, False
    features = []
    for positive in is_positive:
        num_images = generator.integers(20, 80)
        share = 0.35 * positive + 0.1 * generator.random()  # of images that look positive
        looks_positive = generator.random(num_images) < share
        logits = generator.normal(-1.5 + generator.normal(0, 0.8), 1, num_images) + 3 * looks_positive
        if memorised:
            logits = 1.8 * logits + (4 if positive else -4)
        falling = np.sort(1 / (1 + np.exp(-logits)))[::-1]
        features.append(falling[np.minimum(np.arange(K), num_images - 1)])
    return np.array(features), is_positive


def judge(train: Cases, validation: Cases, test: Cases, *, with_training: bool, seed: int) -> tuple[float, float]:
    """Return the ROC AUC and the log loss of the test cases."""
    parts = (train, validation, test)
    known = (with_training, True, False)
    truth = tuple(
        ("positive" if one else "negative") if is_known else None
        for (_, answers), is_known in zip(parts, known, strict=True)
        for one in answers
    )
    # All that may be learned from stands on one side, so that nothing is chosen by number here.
    names: tuple[Side, ...] = ("validation", "validation", "test")
    sides = tuple(name for name, (_, answers) in zip(names, parts, strict=True) for _ in answers)
    features = np.concatenate([part[0] for part in parts])[None]
    scores = fit_svm(features, truth, sides, of_classes=["positive"], seed=seed).scores[-len(test[1]) :, 0]
    return float(roc_auc_score(test[1], scores)), float(log_loss(test[1], scores))


def measure(repeats: int) -> list[str]:
    """Return the rows of a Markdown table."""
    rows = [
        "| validation cases | AUC, validation | with training | log loss, validation | with training | AUC, mean |",
        "|---|---|---|---|---|---|",
    ]
    for num_validation in VALIDATION_CASES:
        found = []
        for seed in range(repeats):
            generator = np.random.default_rng(seed)
            train = draw_cases(generator, TRAINING_CASES, memorised=True)
            validation = draw_cases(generator, num_validation, memorised=False)
            test = draw_cases(generator, TEST_CASES, memorised=False)
            alone = judge(train, validation, test, with_training=False, seed=seed)
            both = judge(train, validation, test, with_training=True, seed=seed)
            found.append([alone[0], both[0], alone[1], both[1], roc_auc_score(test[1], test[0].mean(axis=1))])
        cells = [f"{value:.3f}" for value in np.mean(found, axis=0)]
        rows.append(f"| {' | '.join([str(num_validation), *cells])} |")
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/case_svm-DATE.md")
    options = parser.parse_args()
    rows = measure(options.repeats)
    if not options.write:
        return
    date = dt.datetime.now(dt.UTC).date().isoformat()
    text = f"""# Which cases the SVM of cases learns from

`python {" ".join(sys.argv)}` on {date}: {TRAINING_CASES} training cases, whose images the network knows by heart,
k = {K}, {options.repeats} repetitions; Python {platform.python_version()}, scikit-learn {sklearn.__version__}.

"""
    text += "\n".join(rows) + "\n"
    (Path(__file__).parent / "results" / f"case_svm-{date}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
