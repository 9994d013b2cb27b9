"""Training on what the frozen part of a network computed once, beside computing it in every epoch.

Drawn tissue, prepared once, is learned by the bundled EfficientNet-Lite 0, of which the head alone, or the last stage
and the head, learn. With the cache: from nothing, and then further configurations (another rate, another seed), each
with as many epochs. Without it: the start and one epoch are measured, on all images, and the epoch is taken times the
number of epochs; an epoch costs what the one before it did. Both ways are ``training.loop.train`` with its validation,
its checkpoints and its logistic start, from building the network to its best epoch. With F flipped views the cache
cannot gain more than epochs / F from nothing, since each view has to be computed once.

Usage: python benchmarks/cached_features.py [--images 2000] [--epochs 10] [--size 224] [--ways all:none top-1:none]
"""

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# PyTorch's threads spin while they wait, which slows whatever else runs; this must stand before it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import BatchSettings, ImageSource
from radpath.data.pixel_store import PixelStore
from radpath.data.preparation import PixelSettings
from radpath.data.synthetic import KINDS, draw_tissue
from radpath.models.classifier import ModelSettings, build_classifier
from radpath.run_folder import RunFolder
from radpath.training.device import DeviceSettings, connect
from radpath.training.feature_cache import FeatureCache
from radpath.training.loop import Sides, train
from radpath.training.prediction import PredictionSettings
from radpath.training.settings import TrainingSettings

_RESULTS = Path(__file__).parent / "results"
_DIFFERENT = 32
_BATCH = 32
_STILL = AugmentationSettings().only().model_dump()
Times = tuple[float, float]
"""Seconds by the clock, and of the processor."""


def main() -> None:
    """Measure, print and write a dated table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, help="of training; a tenth as many validate")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--size", type=int, default=224, help="px")
    parser.add_argument("--further", type=int, default=2, help="configurations on the same cache")
    parser.add_argument(
        "--ways",
        nargs="+",
        default=["all:none", "all:horizontal", "top-1:none"],
        help="model.freeze:augmentation.flips",
    )
    arguments = parser.parse_args()
    lines = about_this_run(arguments)
    lines += [
        "| learns | way | seconds | CPU seconds | share of the clock | share of the CPU |",
        "|---|---|---|---|---|---|",
    ]
    sides = drawn_sides(arguments.images, arguments.size)
    for way in arguments.ways:
        with tempfile.TemporaryDirectory() as place:
            lines += rows_of(way, sides, arguments, Path(place))
    lines += ["", "Shares are of recomputing in every epoch, with its start."]
    sys.stdout.write("\n".join(lines) + "\n")
    path = _RESULTS / f"cached_features-{dt.datetime.now(tz=dt.UTC).date()}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def about_this_run(arguments: argparse.Namespace) -> list[str]:
    """Return what a reader must know of the machine."""
    command = " ".join(["python", *sys.argv])
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "timm")]
    return [
        f"# Kept activations, {dt.datetime.now(tz=dt.UTC).date()}",
        "",
        f"`{command}`; {platform.machine()}, {os.cpu_count()} cores, no GPU, Python {platform.python_version()},",
        f"{', '.join(versions)}; bundled EfficientNet-Lite 0, batches of {_BATCH}.",
        f"{arguments.images} training images of {arguments.size} px, a tenth as many for validation;",
        f"{arguments.epochs} epochs.",
        f"Load of the machine at the beginning: {os.getloadavg()[0]:.1f}; other programs used it at the same time, so",
        "that the processor's seconds say more than the clock.",
        "",
    ]


def drawn_sides(num_images: int, size_px: int) -> Sides:
    """Return drawn images; there are few different drawings, each made another image by its brightness."""
    rng = np.random.default_rng(0)
    drawings = [
        draw_tissue(KINDS[place % len(KINDS)], height_px=size_px, width_px=size_px, stain="he", rng=rng)
        for place in range(_DIFFERENT)
    ]

    def side(count: int, first: int) -> ImageSource:
        numbers = range(first, first + count)
        images = [np.roll(drawings[number % _DIFFERENT], number // _DIFFERENT, axis=1) for number in numbers]
        return ImageSource(
            store=PixelStore.of_images([f"{number}.png" for number in numbers], images),
            rows=np.arange(count),
            labels=np.arange(first, first + count) % _DIFFERENT % len(KINDS),
            pixels=PixelSettings(size_px=size_px),
            batches=BatchSettings(size=_BATCH),
        )

    return Sides(train=side(num_images, 0), validation=side(max(1, num_images // 10), num_images), classes=KINDS)


def rows_of(way: str, sides: Sides, arguments: argparse.Namespace, place: Path) -> list[str]:
    """Return the rows of the table for one freezing point."""
    epochs = arguments.epochs
    freeze, flips = way.split(":")
    first = timed(way, sides, place / "first", epochs=epochs, kept=place / "kept")
    further = [
        timed(way, sides, place / f"further-{turn}", epochs=epochs, kept=place / "kept", seed=turn, rate=1e-3 / turn)
        for turn in range(1, arguments.further + 1)
    ]
    start = timed(way, sides, place / "start", epochs=0, kept=None)
    one = timed(way, sides, place / "one", epochs=1, kept=None)
    slow = (start[0] + epochs * (one[0] - start[0]), start[1] + epochs * (one[1] - start[1]))
    learns = f"{'head' if freeze == 'all' else freeze}, flips: {flips}"
    rows = [("recomputed in every epoch (1 measured)", slow), ("cache, from nothing", first)]
    rows += [(f"further configuration {turn}", times) for turn, times in enumerate(further, 1)]
    kept_bytes = sum(path.stat().st_size for path in (place / "kept").rglob("*") if path.is_file())
    return [
        *(
            f"| {learns} | {name} | {clock:.1f} | {cpu:.1f} | 1/{slow[0] / clock:.1f} | 1/{slow[1] / cpu:.1f} |"
            for name, (clock, cpu) in rows
        ),
        f"| {learns} | kept on disk: {kept_bytes / 1e6:.0f} MB | | | | |",
    ]


def timed(
    way: str,
    sides: Sides,
    run: Path,
    *,
    epochs: int,
    kept: Path | None,
    seed: int = 0,
    rate: float = 3e-4,
) -> Times:
    """Train as ``radpath train`` does; return the seconds, from the network's building to its best epoch."""
    freeze, flips = way.split(":")
    fabric = connect(DeviceSettings(device="cpu"))
    values: dict[str, Any] = {"epochs": epochs, "patience": epochs + 1, "seed": seed, "learning_rate": rate}
    clock, cpu = time.perf_counter(), time.process_time()
    model = build_classifier(ModelSettings(freeze=freeze), num_classes=len(KINDS), seed=seed)
    cache = None if kept is None else FeatureCache(kept, model, fabric=fabric)
    train(
        model,
        sides,
        TrainingSettings.model_validate(values),
        augmentation=AugmentationSettings.model_validate({**_STILL, "flips": flips}),
        prediction=PredictionSettings(),
        folder=RunFolder.create(run),
        fabric=fabric,
        cache=cache,
    )
    return time.perf_counter() - clock, time.process_time() - cpu


if __name__ == "__main__":
    main()
