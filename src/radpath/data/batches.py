"""Prepared images become padded batches, the same way in training, validation, test and prediction.

In: a ``PixelStore`` and labels. Out: ``Batch``es: images in the top left corner of a common canvas, zeros elsewhere,
and each image's own size, from which the model knows what is padding.
"""

import dataclasses
import math
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from radpath.data.augmentation.apply import augment
from radpath.data.augmentation.draws import Changes, draw_changes
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.augmentation.views import view_of
from radpath.data.buckets import size_buckets
from radpath.data.intensity import Intensity
from radpath.data.pixel_store import PixelStore
from radpath.data.preparation import PixelSettings
from radpath.errors import SettingsError
from radpath.seeding import generator_for
from radpath.settings import Settings

CANVAS_STEP_PX: Final = 32
"""Sides of a native-size canvas are multiples of this: the total stride of the usual backbones."""

UNLABELLED: Final = -1

NO_RANDOM_VIEWS: Final = (
    "prediction.augmented_views needs random changes, and [augmentation] makes none but flips, which prediction.flips "
    "averages; set augmented_views = 0, or switch a change on, for example augmentation.rotation_deg = 10"
)

_SEED_OF_VIEWS: Final = 0  # of no setting: other draws would be another model


class BatchSettings(Settings):
    """How many images are seen at once."""

    size: int = Field(default=32, ge=1)
    """Images in a batch."""
    max_megapixels: float = Field(default=2.0, gt=0)
    """A batch of native sizes holds fewer images where its canvas would exceed this, in millions of pixels; training
    every layer of the default backbone takes about 2 GB a megapixel."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Some images on one canvas."""

    images: Float[Tensor, "batch channels height width"]
    """In about 0..1 (see ``intensity``), zero outside each image's valid area."""
    heights_px: Int[Tensor, " batch"]
    widths_px: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"] | Float[Tensor, "batch labels"]
    """Positions in the list of classes; ``UNLABELLED`` where there is none. Of several labels an image: 1 where a label
    is there, 0 where not, NaN where nobody knows."""
    positions: Int[np.ndarray, " batch"]
    """Which images of the source these are."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSource:
    """Some images of a store with their labels: one side of a split."""

    store: PixelStore
    rows: Int[np.ndarray, " images"]
    """Places in the store."""
    labels: Int[np.ndarray, " images"] | Float[np.ndarray, "images labels"]
    """As in a batch."""
    pixels: PixelSettings
    batches: BatchSettings
    intensity: Intensity = Intensity(rule="full")  # noqa: RUF009 - frozen, so that it may be shared
    """How levels become numbers."""
    smallest_canvas_px: int = CANVAS_STEP_PX
    """The smallest side that the network can work on."""
    random_views: AugmentationSettings | None = None
    """What the random views of a prediction are drawn with; ``None`` where there are none."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    @property
    def heights_px(self) -> Int[np.ndarray, " images"]:
        """Heights of the prepared images."""
        chosen: np.ndarray = self.store.heights_px[self.rows]
        return chosen

    @property
    def widths_px(self) -> Int[np.ndarray, " images"]:
        """Widths of the prepared images."""
        chosen: np.ndarray = self.store.widths_px[self.rows]
        return chosen

    def in_order(self) -> list[Int[np.ndarray, " batch"]]:
        """Return the batches for evaluation: always the same, each image once."""
        return self._cut(None)

    def shuffled(self, *, seed: int, epoch: int) -> list[Int[np.ndarray, " batch"]]:
        """Return the batches for one epoch of training: others in every epoch, the same for a seed."""
        return self._cut(generator_for(seed, "batches", epoch))

    def _cut(self, rng: np.random.Generator | None) -> list[Int[np.ndarray, " batch"]]:
        if self.pixels.size == "native":
            # Images that need the same canvas are alike; their canvas is also what fills the memory.
            return size_buckets(
                self.canvas_side(self.heights_px),
                self.canvas_side(self.widths_px),
                batch_size=self.batches.size,
                max_batch_pixels=round(self.batches.max_megapixels * 1e6),
                rng=rng,
            )
        ones = np.ones(len(self), dtype=np.int64)  # all canvases are alike: only the shuffling matters
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        cut = size_buckets(ones, ones, batch_size=self.batches.size, max_batch_pixels=len(self) + 1, rng=rng)
        return [order[batch] for batch in cut]

    def assemble(self, positions: Int[np.ndarray, " batch"], *, view: int = 0) -> Batch:
        """Return the images at ``positions`` as they are, or all in the same flipped view."""
        # Channels last in memory, as the images are and as convolutions like it.
        views = np.full(len(positions), view)
        return self._on_canvas(positions, views, device=torch.device("cpu"), layout=torch.channels_last)

    def assemble_augmented(
        self,
        tickets: Int[np.ndarray, " batch"],
        settings: AugmentationSettings,
        *,
        seed: int,
        epoch: int,
        device: torch.device | None = None,
    ) -> Batch:
        """Return some images changed at random; what is drawn depends on seed, epoch and ticket only.

        Args:
            tickets: which images: a position, or a position plus a multiple of the number of images for another copy of
                that image, which is changed in another way.
            settings: which changes, and how strong.
            seed: of the run.
            epoch: of the training.
            device: where the images are changed and stay; None for the CPU. Only their bytes travel there.
        """
        changes = draw_changes(tickets, settings, seed=seed, epoch=epoch)
        return self._changed(tickets % len(self), changes, device=device or torch.device("cpu"))

    def assemble_random_view(
        self, positions: Int[np.ndarray, " batch"], *, number: int, device: torch.device | None = None
    ) -> Batch:
        """Return the images at ``positions``, all changed in one and the same way, drawn with ``random_views``.

        What is drawn depends on the number of the view alone, so that an image looks the same wherever it is predicted.

        Raises:
            SettingsError: nothing but flips would be drawn.
        """
        if self.random_views is None or not self.random_views.operations:
            raise SettingsError(NO_RANDOM_VIEWS)
        tickets = np.full(len(positions), number)
        changes = draw_changes(tickets, self.random_views, seed=_SEED_OF_VIEWS, epoch=0)
        return self._changed(positions, changes, device=device or torch.device("cpu"))

    def _changed(self, positions: Int[np.ndarray, " batch"], changes: Changes, *, device: torch.device) -> Batch:
        # Resampling reads one channel after another.
        batch = self._on_canvas(positions, changes.views, device=device, layout=torch.contiguous_format)
        value_range = (0.0, 1.0) if self.intensity.is_bounded else None
        changed = augment(batch.images, batch.heights_px, batch.widths_px, changes, value_range=value_range)
        return dataclasses.replace(batch, images=changed.contiguous(memory_format=torch.channels_last))

    def _on_canvas(
        self,
        positions: Int[np.ndarray, " batch"],
        views: Int[np.ndarray, " batch"],
        *,
        device: torch.device,
        layout: torch.memory_format,
    ) -> Batch:
        images = [
            view_of(self.store.image(int(self.rows[position])), int(view))
            for position, view in zip(positions, views, strict=True)
        ]
        heights = np.array([image.shape[0] for image in images])
        widths = np.array([image.shape[1] for image in images])
        height, width = self._canvas(int(heights.max()), int(widths.max()))
        deepest = np.result_type(*(image.dtype for image in images))
        canvas = np.zeros((len(images), height, width, self.store.channels), dtype=deepest)
        for place, image in enumerate(images):
            canvas[place, : image.shape[0], : image.shape[1]] = image
        codes = torch.from_numpy(canvas).to(device).permute(0, 3, 1, 2).contiguous(memory_format=layout).float()
        return Batch(
            images=self._to_numbers(codes, heights, widths, positions),
            heights_px=torch.from_numpy(heights),
            widths_px=torch.from_numpy(widths),
            labels=torch.from_numpy(self.labels[positions]),
            positions=positions,
        )

    def _to_numbers(
        self, codes: Tensor, heights_px: np.ndarray, widths_px: np.ndarray, positions: np.ndarray
    ) -> Tensor:
        """Turn stored codes on a canvas into numbers of about 0 to 1, and the padding into zeros."""
        rows = self.rows[positions]
        zero, one = self.intensity.levels(self.store.statistics.of(rows))
        slopes, intercepts = self.store.slopes[rows], self.store.intercepts[rows]

        def each(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(codes.device, torch.float32).view(-1, 1, 1, 1)

        origin = (zero - intercepts) / slopes
        numbers = codes.sub_(each(origin)).div_(each((one - zero) / slopes))
        if origin.any():
            down = torch.arange(codes.shape[2], device=codes.device).view(1, 1, -1, 1) < each(heights_px)
            right = torch.arange(codes.shape[3], device=codes.device) < each(widths_px)
            numbers *= down & right
        return numbers

    def _canvas(self, height_px: int, width_px: int) -> tuple[int, int]:
        if self.pixels.size == "fixed":
            return self.pixels.size_px, self.pixels.size_px
        height, width = self.canvas_side(np.array([height_px, width_px])).tolist()
        return height, width

    def canvas_side(self, sides_px: Int[np.ndarray, " sides"]) -> Int[np.ndarray, " sides"]:
        """Return the side of a native-size canvas for images of these sides."""
        steps: np.ndarray = -(-sides_px // CANVAS_STEP_PX)
        canvas: np.ndarray = np.maximum(self.smallest_canvas_px, steps * CANVAS_STEP_PX)
        return canvas

    def padded_share(self) -> float:
        """Return which share of the pixels that the network sees in evaluation is padding, in 0..1."""
        filled = int((self.heights_px * self.widths_px).sum())
        canvases = [
            len(batch) * math.prod(self._canvas(int(self.heights_px[batch].max()), int(self.widths_px[batch].max())))
            for batch in self.in_order()
        ]
        return 1 - filled / sum(canvases) if canvases else 0.0
