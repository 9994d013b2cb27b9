"""What the frozen part of a network computes is computed once, and kept beside the runs for all that ask for it again.

In: a classifier, some of whose stages never learn, images and looks at them. Out: activations at the freezing point:
the features in front of the head where nothing else learns, else the maps or tokens that go into what learns. They are
found again by the content of the prepared images, what becomes of them before the network, the look, the frozen
weights, the freezing point and the versions of the programs. Where keeping them is impossible or too much,
``feature_plan`` says so in one line, and everything is computed in every epoch.

Numbers are kept as float32, since half of the disk is not worth other results: training on kept activations is training
on the images, number by number.
"""

import contextlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from jaxtyping import Int
from lightning_fabric import Fabric
from torch import Tensor

from radpath import files
from radpath.data.batches import CANVAS_STEP_PX, Batch, ImageSource
from radpath.errors import StorageError
from radpath.models.classifier import Classifier
from radpath.models.cut import Activations
from radpath.progress import track
from radpath.training.device import explained_memory_errors
from radpath.training.feature_shards import Kept, KeptActivations, write_shard
from radpath.training.looks import Look

_VERSION: Final = 1  # raised whenever the same settings would give other activations
_PROGRAMS: Final = ("radpath", "torch", "timm")
_SHARD_BYTES: Final = 64 << 20  # what a stop may lose, and what waits in memory to be written


def features_beside(run: Path) -> Path:
    """Return where activations are kept: beside the runs, where other runs on the same images find them."""
    return run.absolute().parent / ".features"


@final
class FeatureCache:
    """Activations of one classifier's fixed part, computed where they are missing."""

    def __init__(self, root: Path, model: Classifier, *, fabric: Fabric) -> None:
        """Keep them below ``root``; what the model will thaw must be planned already."""
        self.root = root
        self._model, self._fabric = model, fabric
        self._identity = _identity(model, fabric)
        self._contents: dict[int, tuple[ImageSource, str]] = {}
        self._opened: dict[Path, KeptActivations] = {}

    def activations(self, source: ImageSource, look: Look, *, what: str) -> KeptActivations:
        """Return what the fixed part computes of every image of a side in one look; ``what``: the work, as a verb.

        Several devices share the work; each must ask for the same, in the same order. An interruption loses the work of
        seconds.

        Raises:
            StorageError: the disk is full; nothing half-written is left.
            DeviceError: the GPU's memory is used up.
        """
        folder = self._folder(source, look)
        if folder not in self._opened:
            with _explained(folder):
                self._compute(folder, source, look, what)
            self._fabric.barrier()
            opened = KeptActivations(folder)
            if not opened.holds(np.arange(len(source))):
                raise StorageError(f"{folder} was changed while a run worked with it; run it again")
            self._opened[folder] = opened
        return self._opened[folder]

    def kept_bytes(self, source: ImageSource, look: Look) -> int:
        """Return how much of one look is on the disk already."""
        return KeptActivations(self._folder(source, look)).num_bytes

    def onwards(self, kept: KeptActivations, positions: Int[np.ndarray, " batch"]) -> Tensor:
        """Return the features of images whose activations are kept."""
        activations = kept.of(positions)
        return self._model.features_onwards(activations._replace(values=activations.values.to(self._fabric.device)))

    def _folder(self, source: ImageSource, look: Look) -> Path:
        known = self._contents.get(id(source))
        if known is None:
            known = self._contents[id(source)] = (source, content_of(source))
        return self.root / files.digest_json([self._identity, known[1], look.identity])

    def _compute(self, folder: Path, source: ImageSource, look: Look, what: str) -> None:
        known, fabric = KeptActivations(folder), self._fabric
        # Divided among devices before anything is left out: one may see less on the disk than another a moment later.
        own = source.in_order()[fabric.global_rank :: fabric.world_size]
        missing = [positions for positions in own if not known.holds(positions)]
        if not missing:
            return
        files.remove_abandoned(folder)
        done: list[int] = []
        waiting: list[Kept] = []
        for positions in track(missing, total=len(missing), what=what, unit="batches"):
            waiting += self._until(source, look.assemble(positions))
            done += positions.tolist()
            if sum(kept.values.nbytes for kept in waiting) >= _SHARD_BYTES:
                write_shard(folder, done, waiting)
                done, waiting = [], []
        if waiting:
            write_shard(folder, done, waiting)

    @torch.no_grad()
    def _until(self, source: ImageSource, batch: Batch) -> list[Kept]:
        """Return the activations of a batch, each on its own canvas, as if it had been alone."""
        activations = run_until(self._model, batch, self._fabric)
        values = activations.values.float().cpu().numpy()
        kept = []
        for place, (height, width) in enumerate(zip(activations.heights, activations.widths, strict=True)):
            own = values[place]
            if own.ndim == 3 and source.pixels.size == "native":
                sides = source.canvas_side(np.array([int(batch.heights_px[place]), int(batch.widths_px[place])]))
                rows, columns = (
                    int(side) * own.shape[axis] // batch.images.shape[axis + 1] for axis, side in enumerate(sides, 1)
                )
                own = own[:, :rows, :columns]
            entry = Kept(values=own, height=int(height), width=int(width), dtype=activations.values.dtype)
            kept.append(entry)
        return kept


@torch.no_grad()
def run_until(model: Classifier, batch: Batch, fabric: Fabric) -> Activations:
    """Return the activations of a batch at the freezing point; the model is left in the mode that it was in."""
    was_training = model.training
    model.eval()
    with explained_memory_errors(), fabric.autocast():
        activations = model.until(batch.images.to(fabric.device), batch.heights_px, batch.widths_px)
    model.train(was_training)
    return activations


def content_of(source: ImageSource) -> str:
    """Return a digest of the images of a side, in their order, and of what becomes of them before the network.

    The prepared pixels themselves count, so that whatever changes them (their size, their stain, a step) is in it.
    """
    rows = source.rows.tolist()
    zero, one = source.intensity.levels(source.store.statistics.of(source.rows))
    numbers = [zero, one, source.store.slopes[source.rows], source.store.intercepts[source.rows]]
    sides = [source.heights_px, source.widths_px, source.store.code_bits[source.rows]]
    pixels = [
        files.content_digest(source.store.image(row).data)
        for row in track(rows, total=len(rows), what="recognising images")
    ]
    return files.digest_json(
        [
            pixels,
            files.digest_bytes(np.stack(numbers).astype("<f8").tobytes()),
            files.digest_bytes(np.stack(sides).astype("<i8").tobytes()),
            source.intensity.to_dict(),
            [source.store.channels, source.pixels.size, source.pixels.size_px, source.smallest_canvas_px],
            source.batches.model_dump(mode="json"),  # other batches are rounded in another way
        ]
    )


def _identity(model: Classifier, fabric: Fabric) -> str:
    """Return a digest of everything that decides the activations of given pixels."""
    network = model.backbone.network
    return files.digest_json(
        [
            _VERSION,
            [importlib.metadata.version(program) for program in _PROGRAMS],
            [model.backbone.name, files.digest_bytes(str(network).encode()), model.frozen_checksum()],
            [model.fixed_stages, model.features_are_fixed],
            [model.mean.flatten().tolist(), model.std.flatten().tolist()],  # "caffe" alone has its own numbers
            [fabric.device.type, type(fabric.strategy.precision).__name__, str(fabric.strategy.precision.precision)],
        ]
    )


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say what helps where activations cannot be written."""
    try:
        with files.explained_storage_errors(folder):
            yield
    except StorageError as error:
        raise StorageError(f"{error}, or start a run with training.keep_features = 'never'") from error


def keeping_problem(model: Classifier, source: ImageSource, fabric: Fabric) -> str | None:
    """Measure whether activations can be kept; return the reason why not, or None."""
    problem = model.cut_problem()
    if problem is not None or model.features_are_fixed or source.pixels.size == "fixed":
        return problem
    batch, values = _probe(model, source, fabric)
    strides = {canvas / side for canvas, side in zip(batch.images.shape[2:], values.shape[2:], strict=True)}
    if values.dim() == 4 and all(stride.is_integer() and CANVAS_STEP_PX % stride == 0 for stride in strides):
        return None
    return "pixels.size is 'native', and its maps of different sizes do not divide the canvas evenly"


def expected_bytes(model: Classifier, source: ImageSource, fabric: Fabric) -> int:
    """Return how much disk one look at every image of a side takes."""
    if not len(source):
        return 0
    batch, values = _probe(model, source, fabric)
    if values.dim() != 4 or source.pixels.size == "fixed":
        return values[0].numel() * 4 * len(source)
    sides = source.canvas_side(source.heights_px) * source.canvas_side(source.widths_px)
    return int(values[0].numel() * 4 * (sides / (batch.images.shape[2] * batch.images.shape[3])).sum())


def _probe(model: Classifier, source: ImageSource, fabric: Fabric) -> tuple[Batch, Tensor]:
    batch = source.assemble(np.array([0]))
    return batch, run_until(model, batch, fabric).values
