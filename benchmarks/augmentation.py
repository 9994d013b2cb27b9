"""How many images a second are augmented: radpath on batches, torchvision v2 image by image, kornia on batches.

All three make the same changes to the same 8-bit images: a random affine motion (turn, shift, zoom), a horizontal flip,
brightness, contrast, saturation and hue, and the normalisation of ImageNet. They take turns, so that a busy machine
slows all of them; the medians of several rounds are compared. torchvision and kornia are no dependencies of radpath:
where one is missing, its line is left out.

Usage: python benchmarks/augmentation.py [--rounds 7] [--size-px 224] [--batch 32] [--write]
"""

import argparse
import datetime as dt
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# PyTorch's threads spin while they wait, which slows whatever else runs; this must stand before it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import Tensor

from radpath.data.augmentation.apply import augment
from radpath.data.augmentation.draws import draw_changes
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import view_of
from radpath.models import torchvision_compat
from radpath.training.memory import keep_freed_memory

RESULTS = Path(__file__).parent / "results"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DEGREES, SHARE = 10.0, 0.1
HUE_DEG = 18.0
SETTINGS = AugmentationSettings(
    rotation_deg=DEGREES,
    scale=SHARE,
    shift=SHARE,
    brightness=SHARE,
    contrast=SHARE,
    saturation=SHARE,
    hue_deg=HUE_DEG,
)

Augment = Callable[[np.ndarray, int], Tensor]
"""From 8-bit images (batch, height, width, 3) and the number of the round to normalised floats."""


def radpath_on_batches() -> Augment:
    """Return radpath's way, with the flips and the copy onto the canvas that training makes."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))

    def run(images: np.ndarray, epoch: int) -> Tensor:
        changes = draw_changes(np.arange(len(images)), SETTINGS, seed=0, epoch=epoch)
        canvas = np.empty_like(images)
        for place, view in enumerate(changes.views.tolist()):
            canvas[place] = view_of(images[place], view)
        batch = torch.from_numpy(canvas).permute(0, 3, 1, 2).contiguous().float().div_(255)
        sizes = torch.full((len(images),), images.shape[1])
        return augment(batch, sizes, sizes, changes).sub_(mean).div_(std)

    return run


def torchvision_on_samples() -> Augment:
    """Return the usual way: transforms called for each image, then stacked."""
    torchvision_compat.ensure_importable()
    v2 = importlib.import_module("torchvision.transforms.v2")
    pipeline = v2.Compose(
        [
            v2.RandomAffine(
                DEGREES,
                translate=(SHARE, SHARE),
                scale=(1 - SHARE, 1 + SHARE),
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(SHARE, SHARE, SHARE, HUE_DEG / 360),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def run(images: np.ndarray, epoch: int) -> Tensor:
        torch.manual_seed(epoch)
        return torch.stack([pipeline(torch.from_numpy(image).permute(2, 0, 1).contiguous()) for image in images])

    return run


def kornia_on_batches() -> Augment:
    """Return kornia's way: modules that draw for each image and work on the batch."""
    changes = importlib.import_module("kornia.augmentation")
    pipeline = changes.AugmentationSequential(
        changes.RandomAffine(DEGREES, translate=(SHARE, SHARE), scale=(1 - SHARE, 1 + SHARE), p=1.0),
        changes.RandomHorizontalFlip(p=0.5),
        changes.ColorJitter(SHARE, SHARE, SHARE, HUE_DEG / 360, p=1.0),
        changes.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
        data_keys=["input"],
    )

    def run(images: np.ndarray, epoch: int) -> Tensor:
        torch.manual_seed(epoch)
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float().div_(255)
        changed: Tensor = pipeline(batch)
        return changed

    return run


WAYS: dict[str, tuple[str, Callable[[], Augment]]] = {
    "radpath, a batch": ("radpath", radpath_on_batches),
    "torchvision v2, an image": ("torchvision", torchvision_on_samples),
    "kornia, a batch": ("kornia", kornia_on_batches),
}


def measure(images: np.ndarray, *, rounds: int, threads: int) -> dict[str, tuple[float, float]]:
    """Return the median seconds of a batch of each way, on the clock and of the processor; the ways take turns."""
    torch.set_num_threads(threads)
    built = {name: build() for name, (module, build) in WAYS.items() if importlib.util.find_spec(module)}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in built}
    with torch.no_grad():
        for number in range(rounds + 1):
            for name, run in built.items():
                began, began_cpu = time.perf_counter(), time.process_time()
                run(images, number)
                seconds[name].append((time.perf_counter() - began, time.process_time() - began_cpu))
    medians = {}
    for name, times in seconds.items():
        clock, processor_time = zip(*times[1:], strict=True)  # the first round warms up
        medians[name] = statistics.median(clock), statistics.median(processor_time)
    return medians


def draws_per_second(*, batch: int) -> float:
    """Return how many images' changes are drawn in a second, batch by batch."""
    began, drawn = time.perf_counter(), 0
    while time.perf_counter() - began < 1:
        draw_changes(np.arange(drawn, drawn + batch), SETTINGS, seed=0, epoch=1)
        drawn += batch
    return drawn / (time.perf_counter() - began)


def table(medians: dict[int, dict[str, tuple[float, float]]], *, batch: int) -> list[str]:
    """Return a Markdown table: one row a way, and how many times radpath's time it takes.

    On a machine with other work, the time of the processor says more than that of the clock.
    """
    lines = ["| threads | way | images/s | ratio | CPU ms an image | ratio |", "|---|---|---|---|---|---|"]
    for threads, of_ways in medians.items():
        our_clock, our_cpu = next(iter(of_ways.values()))
        lines += [
            f"| {threads} | {name} | {batch / clock:,.0f} | {clock / our_clock:.1f} | {cpu / batch * 1e3:.2f} "
            f"| {cpu / our_cpu:.1f} |"
            for name, (clock, cpu) in of_ways.items()
        ]
    return lines


def circumstances(arguments: argparse.Namespace) -> list[str]:
    """Return what a reader needs to judge the numbers."""
    versions = [
        f"{package} {importlib.metadata.version(package)}"
        for package in ("torch", "torchvision", "kornia")
        if importlib.util.find_spec(package)
    ]
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return [
        f"- Command: `python benchmarks/augmentation.py {' '.join(sys.argv[1:])}`",
        f"- Machine: {os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}",
        f"- Processor: {processor()}",
        f"- Load average at the end (all processes): {load}",
        f"- Versions: {', '.join(versions)}",
        f"- Images: {arguments.batch} a batch, {arguments.size_px} x {arguments.size_px} px, RGB, 8 bit",
        f"- Median of {arguments.rounds} rounds in which the ways take turns, after one to warm up",
    ]


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        answer = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout  # noqa: S607 - where it is installed differs
    except (OSError, subprocess.CalledProcessError):
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in answer.splitlines() if line.startswith("Model name")]
    return names[0] if names else "unknown processor"


def main() -> None:
    """Measure with one and two threads, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size-px", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/augmentation-DATE.md")
    arguments = parser.parse_args()
    keep_freed_memory()  # as a run does on a CPU
    side = arguments.size_px
    images = np.random.default_rng(0).integers(0, 256, (arguments.batch, side, side, 3), dtype=np.uint8)
    medians = {threads: measure(images, rounds=arguments.rounds, threads=threads) for threads in (2, 1)}
    today = dt.datetime.now(tz=dt.UTC).date()
    drawing = f"Drawing alone: {draws_per_second(batch=arguments.batch):,.0f} images a second."
    lines = [
        f"# Augmentation, {today}",
        "",
        *circumstances(arguments),
        "",
        *table(medians, batch=arguments.batch),
        "",
        drawing,
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"augmentation-{today}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
