"""What the audit finds, what it costs, and what it saves from: planted copies, confounders, time, twins, leaks.

Usage: python benchmarks/audit.py FOLDER [--images 100000] [--only planted chance scale twins trap]

FOLDER holds medmnist28/, mednist_600/ and bccd_crops/ (with manifest.csv). The table goes to benchmarks/results/, the
figure of the ungrouped split to docs/guide/. Models are small on purpose: five nearest neighbours and a logistic
regression on thumbnails of 32 x 32 grey pixels, which take seconds and overfit as large ones do.
"""

import argparse
import datetime as dt
import io
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image, ImageOps
from scipy import ndimage
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from radpath.data.audit.confounders import find_confounders
from radpath.data.audit.near import find_near_pairs
from radpath.data.audit.signature import signature_of
from radpath.data.audit.telltales import Telltale
from radpath.data.manifest import Manifest
from radpath.data.split import SplitSettings, split_by_case
from radpath.reporting.svg import add_grid, colour_of, house_style, new_figure, to_svg
from radpath.seeding import generator_for

ROOT = Path(__file__).parents[1]
SECTIONS = ("planted", "chance", "scale", "twins", "trap")


def texture(generator: np.random.Generator, side_px: int = 96) -> np.ndarray:
    """Draw a grey image of blobs of several sizes."""
    layers = [ndimage.gaussian_filter(generator.normal(size=(side_px, side_px)), blur) * blur for blur in (1.5, 3, 7)]
    image = np.sum(layers, axis=0)
    grey: np.ndarray = (30 + 190 * (image - image.min()) / (image.max() - image.min())).astype(np.uint8)
    return grey


def thumbnails_of(images: list[np.ndarray]) -> np.ndarray:
    """Return the thumbnails by which images are compared."""
    return np.stack([signature_of(image).thumbnail for image in images])


def cropped(picture: Image.Image, share: float, generator: np.random.Generator) -> Image.Image:
    """Return a random part with this share of each side."""
    width, height = round(picture.width * share), round(picture.height * share)
    left, top = (int(generator.integers(0, room + 1)) for room in (picture.width - width, picture.height - height))
    return picture.crop((left, top, left + width, top + height))


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    """Return the picture after JPEG."""
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=quality)
    return Image.open(written)


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    """Return the picture turned about its centre, with its edges repeated where nothing was."""
    axes = (0, 1)
    pixels = ndimage.rotate(np.asarray(picture), degrees, axes=axes, reshape=False, order=1, mode="nearest")
    return Image.fromarray(pixels)


Change = Callable[[Image.Image, np.random.Generator], Image.Image]
CHANGES: dict[str, Change] = {
    "JPEG, quality 75": lambda picture, _: recompressed(picture, 75),
    "JPEG, quality 50": lambda picture, _: recompressed(picture, 50),
    "brighter by 15 % and 15 levels": lambda picture, _: picture.point(lambda level: min(255, level * 1.15 + 15)),
    "gamma 1.4": lambda picture, _: picture.point(lambda level: 255 * (level / 255) ** 1.4),
    "flip": lambda picture, _: ImageOps.mirror(picture),
    "quarter turn": lambda picture, _: picture.transpose(Image.Transpose.ROTATE_90),
    "half the size": lambda picture, _: picture.resize((max(2, picture.width // 2), max(2, picture.height // 2))),
    "noise of 5 levels": lambda picture, generator: Image.fromarray(
        np.clip(np.asarray(picture) + generator.normal(0, 5, np.asarray(picture).shape), 0, 255).astype(np.uint8)
    ),
    "crop to 95 % of each side": lambda picture, generator: cropped(picture, 0.95, generator),
    "crop to 90 %": lambda picture, generator: cropped(picture, 0.9, generator),
    "crop to 80 %": lambda picture, generator: cropped(picture, 0.8, generator),
    "turned by 2 degrees": lambda picture, _: turned(picture, 2),
    "turned by 5 degrees": lambda picture, _: turned(picture, 5),
    "turned by 10 degrees": lambda picture, _: turned(picture, 10),
    "crop to 92 %, turned by 3, brighter": lambda picture, generator: turned(
        cropped(picture, 0.92, generator), 3
    ).point(lambda level: min(255, level * 1.1 + 8)),
}


def image_sets(folder: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield sets to plant copies in: one without any copy by construction, and real ones."""
    generator = np.random.default_rng(0)
    yield "600 drawn textures", [texture(generator) for _ in range(600)]
    files = sorted((folder / "mednist_600").rglob("*.jp*g"))
    yield f"{len(files)} of MedNIST", [np.asarray(Image.open(file)) for file in files]
    table = pl.read_csv(folder / "bccd_crops" / "manifest.csv").filter(pl.col("label") == "WBC")
    cells = [np.asarray(Image.open(folder / "bccd_crops" / name).convert("RGB")) for name in table["file"]]
    yield f"{len(cells)} white cells of BCCD", cells


def planted(folder: Path, *, num_copies: int = 80) -> list[str]:
    """Return recall of each kind of copy, and what is reported where none was planted."""
    columns: dict[str, dict[str, float]] = {}
    alarms = {}
    for name, images in image_sets(folder):
        generator = np.random.default_rng(1)
        base = thumbnails_of(images)
        before = find_near_pairs(base)
        alarms[name] = (len(before.places), before.num_compared)
        chosen = generator.permutation(len(images))[:num_copies]
        columns[name] = {}
        for kind, change in CHANGES.items():
            copies = [np.asarray(change(Image.fromarray(images[place]), generator)) for place in chosen]
            found = find_near_pairs(np.concatenate([base, thumbnails_of(copies)]))
            pairs = {tuple(pair) for pair in found.places.tolist()}
            wanted = {(int(place), len(images) + number) for number, place in enumerate(chosen)}
            columns[name][kind] = len(wanted & pairs) / num_copies
        print(name, columns[name], alarms[name], flush=True)
    lines = [f"Share of {num_copies} planted copies that are found, one kind at a time.", ""]
    lines += [f"| copy | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    lines += [f"| {kind} | {' | '.join(f'{column[kind]:.0%}' for column in columns.values())} |" for kind in CHANGES]
    stated = (f"{name}: {pairs} of {compared:,} compared" for name, (pairs, compared) in alarms.items())
    return [*lines, "", f"Pairs reported before anything was planted: {'; '.join(stated)}."]


def chance(*, repeats: int = 60) -> list[str]:
    """Return how often a clean study gives an alarm, and how often a planted confounder does."""
    lines = [
        "| cases | columns | agreement of the planted column with the label | alarms | found |",
        "| ---: " * 5 + "|",
    ]
    for num_cases, agreement in ((50, None), (50, 0.9), (200, None), (200, 0.7), (200, 0.8)):
        alarms, found = 0, 0
        for seed in range(repeats):
            result = find_confounders(*_made_study(num_cases, agreement, seed), seed=seed)
            named = [one.column for one in result.columns if one.is_alarm]
            found += "planted" in named
            alarms += any(name != "planted" for name in named)
        stated = "none planted" if agreement is None else f"{agreement:.0%}"
        hits = "" if agreement is None else f"{found / repeats:.0%}"
        lines.append(f"| {num_cases} | 15 | {stated} | {alarms / repeats:.0%} | {hits} |")
        print(lines[-1], flush=True)
    return lines


def _made_study(num_cases: int, agreement: float | None, seed: int) -> tuple[list[Telltale], pl.Series, pl.Series]:
    """Make 15 columns of noise, constant within cases of three images, and perhaps one that follows the label."""
    generator = np.random.default_rng(seed)
    cases = np.repeat(np.arange(num_cases), 3)
    labels = generator.permutation(num_cases) % 2
    columns = {f"noise {number}": generator.integers(0, 6, num_cases) for number in range(15)}
    if agreement is not None:
        columns["planted"] = np.where(generator.random(num_cases) < agreement, labels, 1 - labels)
    telltales = [
        Telltale(name=name, origin="acquisition", bins=values[cases].astype(np.int64), num_bins=6)
        for name, values in columns.items()
    ]
    return telltales, pl.Series(labels[cases]), pl.Series(cases)


def scale(num_images: int) -> list[str]:
    """Return time and memory of the search among generated thumbnails, with 100 copies planted."""
    lines = ["| images | seconds | compared | planted copies found | peak GiB |", "| ---: " * 5 + "|"]
    for number in (num_images // 10, num_images):
        generator = np.random.default_rng(0)
        thumbnails = np.zeros((number, 32, 32), dtype=np.uint8)
        for start in range(0, number, 10_000):
            noise = generator.normal(size=(min(10_000, number - start), 32, 32))
            smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5))
            thumbnails[start : start + len(noise)] = np.clip(128 + 250 * smooth, 0, 255)
        thumbnails[-100:] = thumbnails[:100, :, ::-1]
        began = time.monotonic()
        found = find_near_pairs(thumbnails)
        seconds = time.monotonic() - began
        pairs = {tuple(pair) for pair in found.places.tolist()}
        hits = sum((place, number - 100 + place) in pairs for place in range(100))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        lines.append(f"| {number:,} | {seconds:.0f} | {found.num_compared:,} | {hits} of 100 | {peak:.2f} |")
        print(lines[-1], flush=True)
    return lines


def models() -> dict[str, Any]:
    """Return the small classifiers."""
    return {
        "5 nearest neighbours": KNeighborsClassifier(5, weights="distance"),
        "logistic regression": make_pipeline(PCA(60, random_state=0), LogisticRegression(max_iter=2000, C=0.01)),
    }


def auc(model: Any, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:  # noqa: ANN401 - scikit-learn has no types
    """Return the mean one-against-rest area on the test images."""
    probabilities = model.fit(*train).predict_proba(test[0])
    places = list(model.classes_)
    areas = [roc_auc_score(test[1] == name, probabilities[:, places.index(name)]) for name in np.unique(test[1])]
    return float(np.mean(areas))


def numbers_of(thumbnails: np.ndarray) -> np.ndarray:
    """Return pixels as rows of mean 0 and deviation 1."""
    rows = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    centred: np.ndarray = rows - rows.mean(axis=1, keepdims=True)
    standardised: np.ndarray = centred / centred.std(axis=1, keepdims=True).clip(min=1e-6)
    return standardised


_TWIN_COLUMNS = (
    "data",
    "test images",
    "with an identical twin in training",
    "near-identical",
    "twins of another label",
    "model",
    "AUC, all test images",
    "AUC, without twins",
    "AUC, as many left out at random (95 %)",
)


def twins(folder: Path) -> list[str]:
    """Return how many test images have a twin in training, and the AUC with and without them."""
    lines = [
        f"| {' | '.join(_TWIN_COLUMNS)} |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for name in ("breastmnist", "retinamnist"):
        arrays = np.load(folder / "medmnist28" / f"{name}.npz")
        images = {side: list(arrays[f"{side}_images"]) for side in ("train", "test")}
        labels = {side: arrays[f"{side}_labels"].ravel() for side in ("train", "test")}
        thumbnails = {side: thumbnails_of(images[side]) for side in images}
        identical, near, other = _twins_between(images, labels, thumbnails)
        clean = np.setdiff1d(np.arange(len(labels["test"])), sorted(identical | near))
        rows = {side: numbers_of(thumbnails[side]) for side in images}
        train = rows["train"], labels["train"]
        for title, model in models().items():
            whole = auc(model, train, (rows["test"], labels["test"]))
            without = auc(model, train, (rows["test"][clean], labels["test"][clean]))
            low, high = _left_out_at_random(model, train, (rows["test"], labels["test"]), len(clean))
            counts = f"{len(labels['test'])} | {len(identical)} | {len(near)} | {other}"
            lines.append(f"| {name} | {counts} | {title} | {whole:.3f} | {without:.3f} | {low:.3f} to {high:.3f} |")
            print(lines[-1], flush=True)
    return lines


def _twins_between(
    images: dict[str, list[np.ndarray]], labels: dict[str, np.ndarray], thumbnails: dict[str, np.ndarray]
) -> tuple[set[int], set[int], int]:
    """Return test images with an identical and a near twin in training, and how many have one of another label."""
    known = {image.tobytes(): place for place, image in enumerate(images["train"])}
    twin_of = {
        number: known[image.tobytes()] for number, image in enumerate(images["test"]) if image.tobytes() in known
    }
    identical = set(twin_of)
    num_train = len(images["train"])
    found = find_near_pairs(np.concatenate([thumbnails["train"], thumbnails["test"]]))
    pairs = [(second - num_train, first) for first, second in found.places.tolist() if first < num_train <= second]
    near = {number for number, _ in pairs} - identical
    every = [*twin_of.items(), *pairs]
    other = len({number for number, place in every if labels["test"][number] != labels["train"][place]})
    return identical, near, other


def _left_out_at_random(
    model: Any,  # noqa: ANN401 - scikit-learn has no types
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    num_kept: int,
) -> tuple[float, float]:
    """Return where 95 % of the areas lie when as many test images are left out at random."""
    probabilities = model.fit(*train).predict_proba(test[0])
    generator, areas = np.random.default_rng(0), []
    for _ in range(500):
        some = np.sort(generator.permutation(len(test[1]))[:num_kept])
        present = np.unique(test[1][some])
        places = [list(model.classes_).index(name) for name in present]
        areas.append(
            np.mean(
                [
                    roc_auc_score(test[1][some] == n, probabilities[some, p])
                    for n, p in zip(present, places, strict=True)
                ]
            )
        )
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def trap(folder: Path, *, seeds: int = 10) -> list[str]:
    """Return the AUC of grouped and ungrouped splits of the same images, and draw it."""
    generator = np.random.default_rng(0)
    table = pl.read_csv(folder / "bccd_crops" / "manifest.csv")
    table = table[generator.permutation(len(table))[:2500].tolist()]
    cells = thumbnails_of([np.asarray(Image.open(folder / "bccd_crops" / name).convert("L")) for name in table["file"]])
    sets = {
        "BCCD cells, grouped by frame": (cells, table["label"].to_numpy(), table["case_id"].to_numpy()),
        "copies, labels drawn by lot": _augmented_copies(signal=0.0),
        "copies, labels weakly visible": _augmented_copies(signal=0.25),
    }
    rows = {}
    for name, (thumbnails, labels, groups) in sets.items():
        for title, model in models().items():
            scores = {
                kind: [_split_score(model, thumbnails, labels, cases, seed) for seed in range(seeds)]
                for kind, cases in (("ungrouped", np.arange(len(groups))), ("grouped", groups))
            }
            rows[name, title] = scores
            print(name, title, {kind: round(float(np.mean(some)), 3) for kind, some in scores.items()}, flush=True)
    (ROOT / "docs" / "guide" / "ungrouped-split.svg").write_text(_trap_figure(rows), encoding="utf-8")
    lines = [
        "| images | model | ungrouped split | grouped split | gained by not grouping |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for (name, title), scores in rows.items():
        gains = np.array(scores["ungrouped"]) - np.array(scores["grouped"])
        cells_of_row = " | ".join(_mean_text(np.array(scores[kind])) for kind in ("ungrouped", "grouped"))
        lines.append(f"| {name} | {title} | {cells_of_row} | {_mean_text(gains)} |")
    return [f"Test AUC, mean over {seeds} seeds of the split, with the range of 95 % of normal means.", "", *lines]


def _augmented_copies(*, signal: float, num_originals: int = 150, copies: int = 5) -> tuple[np.ndarray, ...]:
    """Draw textures with labels and slightly changed copies of each, as people make who augment before splitting."""
    generator = np.random.default_rng(7)
    kinds = ("JPEG, quality 50", "brighter by 15 % and 15 levels", "noise of 5 levels", "crop to 95 % of each side")
    ramp = np.linspace(-1, 1, 96)[None, :] * np.ones((96, 1))
    images, labels, groups = [], [], []
    for number in range(num_originals):
        label = int(generator.integers(2))
        shaded = texture(generator) + signal * 40 * (2 * label - 1) * ramp
        picture = Image.fromarray(np.clip(shaded, 0, 255).astype(np.uint8))
        changed = [CHANGES[kinds[copy % len(kinds)]](picture, generator) for copy in range(copies - 1)]
        images += [np.asarray(one) for one in (picture, *changed)]
        labels += [label] * copies
        groups += [number] * copies
    return thumbnails_of(images), np.array(labels), np.array(groups)


def _split_score(model: Any, thumbnails: np.ndarray, labels: np.ndarray, cases: np.ndarray, seed: int) -> float:  # noqa: ANN401 - scikit-learn has no types
    """Split by case as radpath does, learn on train and validation, and return the test AUC."""
    facts = [
        {"record_id": f"{number:06}", "case": str(case), "label": str(label)}
        for number, (case, label) in enumerate(zip(cases, labels, strict=True))
    ]
    split = split_by_case(Manifest.from_rows(Path(), facts), SplitSettings(seed=seed))
    is_test = (split.manifest.kept["split"] == "test").to_numpy()
    rows = numbers_of(thumbnails)
    return auc(model, (rows[~is_test], labels[~is_test]), (rows[is_test], labels[is_test]))


def _mean_text(values: np.ndarray) -> str:
    error = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ({values.mean() - error:.3f} to {values.mean() + error:.3f})"


def _trap_figure(rows: dict[tuple[str, str], dict[str, list[float]]]) -> str:
    jitter = generator_for(0, "jitter")
    with house_style():
        figure, axis = new_figure(90 + 34 * len(rows))
        add_grid(axis, "x")
        for place, ((name, title), scores) in enumerate(rows.items()):
            for number, kind in enumerate(("grouped", "ungrouped")):
                height = place + 0.18 * (2 * number - 1) + jitter.uniform(-0.06, 0.06, len(scores[kind]))
                label = kind if place == 0 else None
                axis.plot(scores[kind], height, "os"[number], color=colour_of(number), alpha=0.6, label=label)
            axis.annotate(f"{name}; {title}", (0.36, place - 0.36), va="center", fontsize=9)
        axis.set_yticks([])
        axis.set_xlim(0.35, 1.02)
        axis.set_ylim(len(rows) - 0.4, -0.7)
        axis.set_xlabel("Test AUC, one mark a split")
        figure.legend(loc="outside upper left", ncols=2)
        words = "; ".join(
            f"{name}, {title}: grouped {np.mean(scores['grouped']):.2f}, ungrouped {np.mean(scores['ungrouped']):.2f}"
            for (name, title), scores in rows.items()
        )
        return to_svg(figure, name="ungrouped-split", title="What an ungrouped split seems to gain", description=words)


def main() -> None:
    """Run the chosen sections and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", default=list(SECTIONS), choices=SECTIONS)
    arguments = parser.parse_args()
    titles: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "planted": ("Near duplicates: planted copies", lambda: planted(arguments.folder)),
        "chance": ("Confounders: false alarms and planted columns", chance),
        "scale": ("Near duplicates: time and memory", lambda: scale(arguments.images)),
        "twins": ("Test images with a twin in training", lambda: twins(arguments.folder)),
        "trap": ("Grouped and ungrouped splits", lambda: trap(arguments.folder)),
    }
    day = dt.datetime.now(dt.UTC).date().isoformat()
    results = ROOT / "benchmarks" / "results"
    for section in arguments.only:
        heading, measure = titles[section]
        part = results / f"audit-{section}-{day}.md"
        began = time.monotonic()
        lines = measure()
        part.write_text(
            f"# {heading}, {day}\n\n`python benchmarks/audit.py FOLDER --only {section}`: {platform.machine()}, "
            f"{os.cpu_count()} cores shared with other work, no GPU, Python {platform.python_version()}, NumPy "
            f"{np.__version__}; {time.monotonic() - began:.0f} s.\n\n" + "\n".join(lines) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
