"""Images a second in training: radpath's loop, the bare steps of the same network, and the usual way with torchvision.

PNG files are learned from in three ways, which take turns, an epoch at a time. "bare steps": forward, backward and the
optimiser's step on one batch that stays in memory; nothing can be faster. "radpath": an epoch of `radpath train`, from
the store of prepared images, with its augmentation, clipped gradients and averaged weights. "usual": a folder of PNG
files decoded with Pillow, torchvision's transforms of the same strength, a DataLoader with two workers that stay, and
the same bare steps of timm's network.

Usage: python benchmarks/training_speed.py [--backbone resnet18] [--size-px 128] [--images 64] [--rounds 3]
On a GPU: ... --device cuda --backbone resnet50 --size-px 224 --precision bf16-mixed --images 2048 --batch 64
"""

import argparse
import datetime as dt
import importlib
import importlib.metadata
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# PyTorch's threads spin while they wait, which slows whatever else runs; this must stand before it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import BatchSettings, ImageSource
from radpath.data.ingest import prepare
from radpath.data.inputs import DataSettings
from radpath.data.preparation import PixelSettings
from radpath.data.scan import scan
from radpath.data.synthetic import draw_tissue
from radpath.models import torchvision_compat
from radpath.models.classifier import Classifier, ModelSettings, build_classifier
from radpath.training.checkpoints import Checkpoints
from radpath.training.device import DeviceSettings, connect
from radpath.training.learners import Drawing, ImageLearner
from radpath.training.losses import build_loss
from radpath.training.settings import TrainingSettings
from radpath.training.speed import bare_steps, epoch_of_run

_RESULTS = Path(__file__).parent / "results"
_FILE_SIDE_PX = 256
_DIFFERENT = 8
_WORKERS = 2
_CHANGES = AugmentationSettings()
_BARE, _RADPATH, _USUAL = "bare steps", "radpath", f"usual: folder, torchvision, DataLoader ({_WORKERS} workers)"


def main() -> None:
    """Measure, print and write a dated table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size-px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed", "16-mixed"])
    arguments = parser.parse_args()
    lines = about_this_run(arguments)
    with tempfile.TemporaryDirectory() as place:
        write_images(Path(place) / "images", arguments.images)
        lines += table(arguments, Path(place))
    lines += ["", f"Load of the machine at the end: {os.getloadavg()[0]:.1f}."]
    sys.stdout.write("\n".join(lines) + "\n")
    path = _RESULTS / f"training_speed-{dt.datetime.now(tz=dt.UTC).date()}.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def about_this_run(arguments: argparse.Namespace) -> list[str]:
    """Return what a reader must know of the machine."""
    command = " ".join(["python", *sys.argv])
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "torchvision", "Pillow", "timm")]
    return [
        f"# Speed of training, {dt.datetime.now(tz=dt.UTC).date()}",
        "",
        f"`{command}`; {platform.machine()}, {os.cpu_count()} cores, device {arguments.device},",
        f"Python {platform.python_version()}, {', '.join(versions)}.",
        f"{arguments.backbone}, {arguments.precision}; {arguments.images} PNG files of {_FILE_SIDE_PX} px, RGB,",
        f"to {arguments.size_px} px, batches of {arguments.batch};",
        f"medians of {arguments.rounds} rounds in which the ways take turns, after one to warm up.",
        f"Load of the machine at the beginning: {os.getloadavg()[0]:.1f}; other programs used it at the same time.",
        "",
    ]


def write_images(folder: Path, num_images: int) -> None:
    """Draw some images and give them many names: decoding one is as much work."""
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
    for number in range(num_images):
        path = folder / ("first", "second")[number % 2] / f"{number:05d}.png"
        if number < _DIFFERENT:
            rng = np.random.default_rng(number)
            drawn = draw_tissue("benign", height_px=_FILE_SIDE_PX, width_px=_FILE_SIDE_PX, stain="he", rng=rng)
            Image.fromarray(drawn).save(path)
        else:
            donor = number % _DIFFERENT
            path.hardlink_to(folder / ("first", "second")[donor % 2] / f"{donor:05d}.png")


def table(arguments: argparse.Namespace, place: Path) -> list[str]:
    """Return a Markdown table of the three ways."""
    fabric = connect(DeviceSettings(device=arguments.device, precision=arguments.precision))
    ways = {**radpath_ways(arguments, place, fabric), _USUAL: usual_way(arguments, place / "images", fabric)}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(1, arguments.rounds + 2):
        for name, run in ways.items():
            began, cpu_began = time.perf_counter(), cpu_seconds()
            cpu_elsewhere = run(number)
            taken[name].append((time.perf_counter() - began, cpu_seconds() - cpu_began + cpu_elsewhere))
    medians = {name: np.median(times[1:], axis=0) for name, times in taken.items()}  # the first round warms up
    ratios = {name: np.array(times[1:]) / np.array(taken[_RADPATH][1:]) for name, times in taken.items()}
    lines = ["| way | images/s | time of radpath's | CPU s an epoch | CPU of radpath's |", "|---|---|---|---|---|"]
    for name, (clock, cpu) in medians.items():
        clock_ratio, cpu_ratio = np.median(ratios[name], axis=0)
        rate = arguments.images / clock
        lines.append(f"| {name} | {rate:,.1f} | x {clock_ratio:.2f} | {cpu:.2f} | x {cpu_ratio:.2f} |")
    share = np.median([bare[0] / own[0] for bare, own in zip(taken[_BARE][1:], taken[_RADPATH][1:], strict=True)])
    cpu_share = np.median([bare[1] / own[1] for bare, own in zip(taken[_BARE][1:], taken[_RADPATH][1:], strict=True)])
    return [*lines, "", f"radpath reaches {share:.1%} of the rate of the bare steps (by CPU time {cpu_share:.1%})."]


def cpu_seconds() -> float:
    """Return what this process has used of the processor, in all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def radpath_ways(arguments: argparse.Namespace, place: Path, fabric: Fabric) -> dict[str, Callable[[int], float]]:
    """Return the bare steps and an epoch of a run, both of the same classifier on the same images."""
    source = prepared(arguments, place)
    settings = TrainingSettings(epochs=1_000_000)
    drawing = Drawing(augmentation=_CHANGES, seed=0, sampling=settings.sampling, mix=settings.mix)
    loss = build_loss(settings.loss, source.labels, classes=("first", "second"))
    learner = ImageLearner(build(arguments).to(fabric.device), source, drawing)
    kept = Checkpoints(place / "checkpoints")
    bare = bare_steps(build(arguments).to(fabric.device), learner, settings, loss=loss, fabric=fabric)
    epoch = epoch_of_run(learner, settings, loss=loss, kept=kept, fabric=fabric)
    return {_BARE: finished(bare, fabric), _RADPATH: finished(epoch, fabric)}


def prepared(arguments: argparse.Namespace, place: Path) -> ImageSource:
    """Return the images as training reads them."""
    data, pixels = DataSettings(images=place / "images"), PixelSettings(size_px=arguments.size_px)
    _, store = prepare(scan(data, cache=place / "scan"), data, pixels, stores=place / "pools")
    places = np.arange(len(store.record_ids))
    batches = BatchSettings(size=arguments.batch)
    return ImageSource(store=store, rows=places, labels=places % 2, pixels=pixels, batches=batches)


def build(arguments: argparse.Namespace) -> Classifier:
    """Return the network with random weights, all of which learn."""
    settings = ModelSettings(backbone=arguments.backbone, weights="none", norm_statistics="batch")
    return build_classifier(settings, num_classes=2, seed=0)


def finished(run: Callable[[int], object], fabric: Fabric) -> Callable[[int], float]:
    """Return the same, which waits until the device is done; no other process works for it."""

    def waited(number: int) -> float:
        run(number)
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        return 0.0

    return waited


class ImageFolder(Dataset[tuple[Tensor, int, float]]):
    """Decodes, scales and augments an image whenever it is asked for, and tells the seconds of the processor."""

    def __init__(self, folder: Path, side_px: int) -> None:
        """Read all files below ``folder``, a folder a class."""
        torchvision_compat.ensure_importable()
        v2 = importlib.import_module("torchvision.transforms.v2")
        self._paths = sorted(folder.rglob("*.png"))
        shift, scale = _CHANGES.shift, _CHANGES.scale
        self._change: Callable[[Image.Image], Tensor] = v2.Compose(
            [
                v2.Resize((side_px, side_px)),
                v2.RandomHorizontalFlip(),
                v2.RandomAffine(
                    _CHANGES.rotation_deg,
                    translate=(shift, shift),
                    scale=(1 - scale, 1 + scale),
                    interpolation=v2.InterpolationMode.BILINEAR,
                ),
                v2.ColorJitter(_CHANGES.brightness, _CHANGES.contrast),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._paths)

    def __getitem__(self, place: int) -> tuple[Tensor, int, float]:
        """Return an image, its class and the seconds it took."""
        began = time.process_time()
        with Image.open(self._paths[place]) as opened:
            image = self._change(opened.convert("RGB"))
        return image, int(self._paths[place].parent.name == "second"), time.process_time() - began


def usual_way(arguments: argparse.Namespace, folder: Path, fabric: Fabric) -> Callable[[int], float]:
    """Return an epoch of the usual loop, which returns the seconds that its workers used."""
    loader = DataLoader(
        ImageFolder(folder, arguments.size_px),
        batch_size=arguments.batch,
        shuffle=True,
        num_workers=_WORKERS,
        persistent_workers=True,
        pin_memory=arguments.device == "cuda",
    )
    # Late, since radpath has to make torchvision importable before.
    network = importlib.import_module("timm").create_model(arguments.backbone, num_classes=2)
    network, optimiser = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=3e-4))

    def epoch(_: int) -> float:
        network.train()
        elsewhere = 0.0
        for images, labels, seconds in loader:
            optimiser.zero_grad()
            loss = functional.cross_entropy(network(images.to(fabric.device)), labels.to(fabric.device))
            fabric.backward(loss)
            optimiser.step()
            elsewhere += float(seconds.sum())
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        return elsewhere

    return epoch


if __name__ == "__main__":
    main()
