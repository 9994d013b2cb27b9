"""An epoch of augmented batches from the pixel store, beside decoding every file in every epoch; and who waits for it.

PNG files of tissue, 1000 x 800 px, become batches of 224 px with radpath's default augmentation (mirroring, turning,
scaling, shifting, brightness, contrast). radpath reads them from the store, in the process that trains. The usual way
decodes with Pillow, scales and augments each image with torchvision's transforms of the same strength, and stacks them
in a PyTorch DataLoader with two workers, which stay from epoch to epoch. Both take turns. Then some steps of training
are taken as radpath takes them, and the share of the time is told that goes into making the batch.

Usage: python benchmarks/epoch.py [--images 192] [--rounds 3] [--steps 6]
"""

import argparse
import datetime as dt
import importlib
import importlib.metadata
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

# PyTorch's threads spin while they wait, which slows whatever else runs; this must stand before it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import Batch, BatchSettings, ImageSource
from radpath.data.ingest import prepare
from radpath.data.inputs import DataSettings
from radpath.data.preparation import PixelSettings
from radpath.data.scan import scan
from radpath.data.synthetic import KINDS, draw_tissue
from radpath.models import torchvision_compat
from radpath.models.classifier import Classifier, ModelSettings, build_classifier
from radpath.training.averaging import WeightAverage
from radpath.training.memory import keep_freed_memory
from radpath.training.optimisation import build_optimiser
from radpath.training.settings import TrainingSettings

_RESULTS = Path(__file__).parent / "results"
_HEIGHT_PX, _WIDTH_PX = 800, 1000
_SIDE_PX = 224
_BATCH = 32
_WORKERS = 2
_DIFFERENT = 8
_CHANGES = AugmentationSettings()
_STORE, _LOADER = "radpath, from the store", f"Pillow, torchvision, DataLoader ({_WORKERS} workers)"


def main() -> None:
    """Measure, print and write a dated table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="of training, of each kind")
    arguments = parser.parse_args()
    keep_freed_memory()  # as a run does on a CPU
    lines = about_this_run(arguments)
    with tempfile.TemporaryDirectory() as place:
        images = Path(place) / "images"
        write_images(images, arguments.images)
        source, seconds = prepared(images, Path(place) / "pools")
        lines += epoch_table(source, images, rounds=arguments.rounds)
        lines += ["", f"Preparing the store, once: {seconds:.1f} seconds.", ""]
        lines += waiting_table(source, steps=arguments.steps)
    sys.stdout.write("\n".join(lines) + "\n")
    path = _RESULTS / f"epoch-{dt.datetime.now(tz=dt.UTC).date()}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def about_this_run(arguments: argparse.Namespace) -> list[str]:
    """Return what a reader must know of the machine."""
    command = " ".join(["python", *sys.argv])
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "torchvision", "Pillow", "timm")]
    return [
        f"# An epoch from the store, {dt.datetime.now(tz=dt.UTC).date()}",
        "",
        f"`{command}`; {platform.machine()}, {os.cpu_count()} cores, no GPU, Python {platform.python_version()},",
        f"{', '.join(versions)}.",
        f"{arguments.images} PNG files of {_WIDTH_PX} x {_HEIGHT_PX} px, RGB, to {_SIDE_PX} px, batches of {_BATCH};",
        f"in the system's cache; medians of {arguments.rounds} rounds in which both take turns, after one to warm up.",
        f"Load of the machine at the beginning: {os.getloadavg()[0]:.1f}; other programs used it at the same time.",
        "",
    ]


def write_images(folder: Path, num_images: int) -> None:
    """Draw a quarter of some images, fill them with it, and give them many names: decoding one is as much work."""
    folder.mkdir()
    for number in range(min(num_images, _DIFFERENT)):
        rng = np.random.default_rng(number)
        kind = KINDS[number % len(KINDS)]
        part = draw_tissue(kind, height_px=_HEIGHT_PX // 2, width_px=_WIDTH_PX // 2, stain="he", rng=rng)
        Image.fromarray(np.tile(part, (2, 2, 1))).save(folder / f"{number:05d}.png")
    for number in range(_DIFFERENT, num_images):
        (folder / f"{number:05d}.png").hardlink_to(folder / f"{number % _DIFFERENT:05d}.png")


def prepared(images: Path, pools: Path) -> tuple[ImageSource, float]:
    """Return the images as training reads them, and how many seconds it took from the folder."""
    data, pixels = DataSettings(images=images), PixelSettings(size_px=_SIDE_PX)
    began = time.perf_counter()
    _, store = prepare(scan(data, cache=pools / "scan"), data, pixels, stores=pools)
    seconds = time.perf_counter() - began
    places = np.arange(len(store.record_ids))
    source = ImageSource(
        store=store, rows=places, labels=places % len(KINDS), pixels=pixels, batches=BatchSettings(size=_BATCH)
    )
    return source, seconds


class EveryTime(Dataset[tuple[Tensor, float]]):
    """Decodes, scales and augments an image whenever it is asked for, and tells the seconds of the processor."""

    def __init__(self, paths: list[Path]) -> None:
        """Read ``paths``."""
        torchvision_compat.ensure_importable()
        v2 = importlib.import_module("torchvision.transforms.v2")
        height_px = round(_HEIGHT_PX * _SIDE_PX / _WIDTH_PX)
        share = _CHANGES.shift
        self._paths = paths
        self._change: Callable[[Image.Image], Tensor] = v2.Compose(
            [
                v2.Resize((height_px, _SIDE_PX), interpolation=v2.InterpolationMode.BICUBIC),
                v2.Pad((0, 0, 0, _SIDE_PX - height_px)),
                v2.RandomHorizontalFlip(),
                v2.RandomAffine(
                    _CHANGES.rotation_deg,
                    translate=(share, share),
                    scale=(1 - _CHANGES.scale, 1 + _CHANGES.scale),
                    interpolation=v2.InterpolationMode.BILINEAR,
                ),
                v2.ColorJitter(_CHANGES.brightness, _CHANGES.contrast),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        """Return an image of 0..1, and how long the processor had to do with it."""
        began = time.process_time()
        with Image.open(self._paths[index]) as image:
            return self._change(image.convert("RGB")), time.process_time() - began


def epoch_table(source: ImageSource, images: Path, *, rounds: int) -> list[str]:
    """Return a Markdown table of both ways."""
    loader = DataLoader(
        EveryTime(sorted(images.iterdir())),
        batch_size=_BATCH,
        shuffle=True,
        num_workers=_WORKERS,
        persistent_workers=True,
    )

    def from_store(epoch: int) -> float:
        began = time.process_time()
        for batch in source.shuffled(seed=0, epoch=epoch):
            source.assemble_augmented(batch, _CHANGES, seed=0, epoch=epoch)
        return time.process_time() - began

    ways: dict[str, Callable[[int], float]] = {
        _STORE: from_store,
        _LOADER: lambda _: float(sum(seconds.sum() for _, seconds in loader)),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            began = time.perf_counter()
            cpu = run(number)
            taken[name].append((time.perf_counter() - began, cpu))
    lines = ["| way | images/s | ratio | CPU ms an image | ratio |", "|---|---|---|---|---|"]
    medians = {name: np.median(times[1:], axis=0) for name, times in taken.items()}  # the first round warms up
    for name, (clock, cpu) in medians.items():
        clock_ratio, cpu_ratio = medians[name] / medians[_STORE]
        lines.append(
            f"| {name} | {len(source) / clock:,.0f} | {clock_ratio:.1f} | {cpu / len(source) * 1e3:.2f} "
            f"| {cpu_ratio:.1f} |"
        )
    return lines


def waiting_table(source: ImageSource, *, steps: int) -> list[str]:
    """Return a Markdown table of the time of a step, and of the part that makes its batch."""
    lines = ["| backbone | a step, s | of it making the batch, s | share |", "|---|---|---|---|"]
    kinds: dict[str, Literal["all", "none"]] = {"frozen": "all", "learning": "none"}
    for name, freeze in kinds.items():
        making, whole = steps_of_training(source, freeze=freeze, steps=steps)
        lines.append(f"| bundled, {name} | {whole:.2f} | {making:.3f} | {making / whole:.1%} |")
    return lines


def steps_of_training(source: ImageSource, *, freeze: Literal["all", "none"], steps: int) -> tuple[float, float]:
    """Return the median seconds of making a batch, and of a step with it; as ``training.loop`` takes steps."""
    model = build_classifier(ModelSettings(freeze=freeze), num_classes=len(KINDS), seed=0)
    settings = TrainingSettings()
    optimiser, average = build_optimiser(model, settings), WeightAverage(model, settings.average)
    model.train()
    making, whole = [], []
    for epoch, positions in enumerate(_full_batches(source, steps + 1)):
        began = time.perf_counter()
        batch = source.assemble_augmented(positions, _CHANGES, seed=0, epoch=epoch)
        made = time.perf_counter()
        _learn(model, batch, optimiser, settings.clip_norm)
        average.after_step(model)
        making.append(made - began)
        whole.append(time.perf_counter() - began)
    return statistics.median(making[1:]), statistics.median(whole[1:])  # the first step warms up


def _full_batches(source: ImageSource, count: int) -> Iterator[np.ndarray]:
    """Yield so many batches of full size, from as many epochs as it takes."""
    given = 0
    for epoch in range(count):
        for batch in source.shuffled(seed=0, epoch=epoch):
            if given < count and len(batch) == min(_BATCH, len(source)):
                given += 1
                yield batch


def _learn(model: Classifier, batch: Batch, optimiser: torch.optim.Optimizer, clip_norm: float) -> None:
    logits = model(batch.images, batch.heights_px, batch.widths_px)
    loss = functional.cross_entropy(logits, batch.labels)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call] # PyTorch's, untyped
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimiser.step()


if __name__ == "__main__":
    main()
