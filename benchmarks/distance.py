"""How well the distance to the training data tells images that a model never saw the like of.

Run: ``python benchmarks/distance.py``. Draws a study, takes the features of the usual backbone (its bundled weights,
all frozen) and fits the distance as a run does; then sees another drawn study (what the model was made for), images of
another kind, and the other study made worse in every way of ``data.corruptions``. Printed and written: the area under
the ROC curve of telling each from the other study as it is, for the distance and for four named alternatives, and the
share that is flagged.
"""

import argparse
import datetime as dt
import platform
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from radpath.data.batches import BatchSettings, ImageSource
from radpath.data.corruptions import CORRUPTIONS, corrupt
from radpath.data.pixel_store import PixelStore
from radpath.data.preparation import PixelSettings, prepare_image
from radpath.data.synthetic import write_synthetic
from radpath.evaluation.distance import DistanceSettings, fit_distance
from radpath.evaluation.uncertainty import entropy
from radpath.models.classifier import Classifier, ModelSettings, build_classifier
from radpath.training.device import DeviceSettings, connect
from radpath.training.prediction import PredictionSettings, view_features

RESULTS: Final = Path(__file__).parent / "results"
SIDE_PX: Final = 128

Score = Callable[[np.ndarray], np.ndarray]


def study(folder: Path, *, cases_per_class: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the images of a drawn study, scaled, and their classes as numbers."""
    drawn = write_synthetic(folder, cases_per_class=cases_per_class, images_per_case=(2, 3), seed=seed, faults=False)
    images, labels = [], []
    for name, label in sorted(drawn.truth.items()):
        with Image.open(drawn.images / name) as opened:
            images.append(scaled(np.array(opened.convert("RGB"))))
        labels.append(drawn.classes.index(label))
    return images, np.array(labels)


def scaled(image: np.ndarray) -> np.ndarray:
    """Return an image as a run would prepare it."""
    return np.asarray(prepare_image(image, PixelSettings(size_px=SIDE_PX)).codes)


def other_kinds(count: int) -> dict[str, list[np.ndarray]]:
    """Return images of other kinds than the study's."""
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8) for _ in range(count)]
    speckle = []
    for _ in range(count):  # like ultrasound: multiplied noise over dark, soft structures, in grey
        soft = ndimage.gaussian_filter(generator.random((SIDE_PX, SIDE_PX)), 10)
        soft = (soft - soft.min()) / np.ptp(soft)
        grey = (255 * (0.1 + 0.6 * soft) * generator.rayleigh(0.6, soft.shape)).clip(0, 255).astype(np.uint8)
        speckle.append(np.repeat(grey[:, :, None], 3, axis=2))
    plain = [np.full((SIDE_PX, SIDE_PX, 3), generator.integers(0, 256), dtype=np.uint8) for _ in range(count)]
    return {"white noise": noise, "grey speckle": speckle, "one grey level": plain}


def made_worse(images: Sequence[np.ndarray], name: str, level: int) -> list[np.ndarray]:
    """Return the images under a corruption."""
    generator = np.random.default_rng(level)
    spoilt = (corrupt((image / 255).astype(np.float32), CORRUPTIONS[name], level, generator) * 255 for image in images)
    return [one.round().astype(np.uint8) for one in spoilt]


def features_of(model: Classifier, images: Sequence[np.ndarray]) -> np.ndarray:
    """Return the pooled features of images, as a prediction computes them."""
    source = ImageSource(
        store=PixelStore.of_images([str(place) for place in range(len(images))], images),
        rows=np.arange(len(images)),
        labels=np.zeros(len(images), dtype=np.int64),
        pixels=PixelSettings(size_px=SIDE_PX),
        batches=BatchSettings(size=32),
    )
    fabric = connect(DeviceSettings(device="cpu", precision="32-true"))
    settings = PredictionSettings(flips="none")
    return np.asarray(view_features(model, source, settings, fabric=fabric, what="seeing")[0].numpy())


def relative(features: np.ndarray, labels: np.ndarray) -> Score:
    """Return the relative Mahalanobis distance of Ren et al. (2021): to the nearest class, less that to all images."""
    exact = features.astype(np.float64)
    means = np.stack([exact[labels == label].mean(axis=0) for label in np.unique(labels)])
    within = np.linalg.inv(ledoit_wolf(exact - means[labels], assume_centered=True)[0])
    centre = exact.mean(axis=0)
    overall = np.linalg.inv(ledoit_wolf(exact - centre, assume_centered=True)[0])

    def squared(rows: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("ij,jk,ik->i", rows - mean, precision, rows - mean))

    def score(new: np.ndarray) -> np.ndarray:
        rows = new.astype(np.float64)
        nearest = np.min([squared(rows, mean, within) for mean in means], axis=0)
        return np.asarray(nearest - squared(rows, centre, overall))

    return score


def unscaled(features: np.ndarray, labels: np.ndarray) -> Score:
    """Return the Mahalanobis distance as Lee et al. (2018) have it: of features with their lengths."""
    exact = features.astype(np.float64)
    means = np.stack([exact[labels == label].mean(axis=0) for label in np.unique(labels)])
    precision = np.linalg.inv(ledoit_wolf(exact - means[labels], assume_centered=True)[0])

    def score(new: np.ndarray) -> np.ndarray:
        rows = new.astype(np.float64)
        squared = [np.einsum("ij,jk,ik->i", rows - mean, precision, rows - mean) for mean in means]
        return np.asarray(np.min(squared, axis=0))

    return score


def nearest_neighbour(features: np.ndarray) -> Score:
    """Return the distance to the fifth nearest training image, features scaled to length 1 (Sun et al. 2022)."""
    bank = features / np.linalg.norm(features, axis=1, keepdims=True)

    def score(new: np.ndarray) -> np.ndarray:
        unit = new / np.linalg.norm(new, axis=1, keepdims=True)
        return np.asarray(np.sort(1 - unit @ bank.T, axis=1)[:, 4])

    return score


def scores_of(features: np.ndarray, labels: np.ndarray, validation: np.ndarray) -> dict[str, Score]:
    """Return what is compared, by name."""
    ours = fit_distance(features, labels, validation, settings=DistanceSettings(), model="")
    if ours is None:
        raise AssertionError("drawn images differ")
    head = LogisticRegression(max_iter=300).fit(features, labels)
    return {
        "distance": ours.of,
        "Mahalanobis, not scaled": unscaled(features, labels),
        "relative Mahalanobis": relative(features, labels),
        "5th neighbour": nearest_neighbour(features),
        "entropy of a linear head": lambda new: entropy(head.predict_proba(new)),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=24, help="cases of each of the four classes to learn from")
    parser.add_argument("--all-levels", action="store_true", help="also the weakest corruptions")
    arguments = parser.parse_args()
    model = build_classifier(ModelSettings(freeze="all"), num_classes=4, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        seen, labels = study(Path(folder) / "train", cases_per_class=arguments.cases, seed=1)
        held, _ = study(Path(folder) / "validation", cases_per_class=6, seed=2)
        new, _ = study(Path(folder) / "new", cases_per_class=4, seed=3)
    scores = scores_of(features_of(model, seen), labels, features_of(model, held))
    usual = features_of(model, new)
    sets = dict(other_kinds(len(new)))
    for name, kind in CORRUPTIONS.items():
        for level in (1, 3, 5) if arguments.all_levels else (3, 5):
            sets[f"{name} {kind.levels[level - 1]:g}"] = made_worse(new, name, level)
    lines = ["| images | " + " | ".join(scores) + " | flagged |", "|---|" + "---:|" * (len(scores) + 1)]
    flagged = float((scores["distance"](usual) > 1).mean())
    lines.append("| the other study as it is |" + " – |" * len(scores) + f" {flagged:.1%} |")  # noqa: RUF001 - a dash is meant
    for name, images in sets.items():
        strange = features_of(model, images)
        truth = np.repeat([0, 1], [len(usual), len(strange)])
        areas = [roc_auc_score(truth, np.concatenate([score(usual), score(strange)])) for score in scores.values()]
        flagged = float((scores["distance"](strange) > 1).mean())
        lines.append(f"| {name} | " + " | ".join(f"{area:.3f}" for area in areas) + f" | {flagged:.1%} |")
    report(lines, num_seen=len(seen), num_new=len(new), cases=arguments.cases)


def report(lines: Sequence[str], *, num_seen: int, num_new: int, cases: int) -> None:
    """Print the table, and write it with how it was made."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "scikit-learn", "numpy"))
    text = "\n".join(
        [
            "# Telling images that the model never saw the like of",
            "",
            (
                f"`python benchmarks/distance.py --cases {cases}`; {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, "
                f"{platform.machine()}, Python {platform.python_version()}, {versions}."
            ),
            "",
            (
                f"Fitted on {num_seen} drawn images of {SIDE_PX} px; {num_new} images of another drawn study "
                "against as many of each row. Areas under the ROC curve; 0.5 is chance. Flagged: distance above 1."
            ),
            "",
            *lines,
            "",
        ]
    )
    print(text)
    (RESULTS / f"distance-{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
