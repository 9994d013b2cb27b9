"""``preview``: what the network really sees, on a contact sheet; a few images after every step of their way to it.

In: an experiment, a run, or a folder of images, for which ``fit`` would make a plan. Out: ``preview.png``, one column
an image, one row a step: as the file holds it, on its canvas with the padding hatched, after each random change alone,
and after all of them together, several times. Nothing is trained.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from torch import Tensor

from radpath import files
from radpath.data.array_file import is_array_file
from radpath.data.augmentation.draws import Changes, draw_changes, draw_views
from radpath.data.augmentation.settings import RANGES, AugmentationSettings, ChanceSettings, Operation
from radpath.data.batches import Batch, ImageSource
from radpath.data.fingerprint import measure
from radpath.data.ingest import prepare
from radpath.data.intensity import Intensity, fit_intensity
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.data.names import assume_cases, attach_names
from radpath.data.pixel_store import PixelStore
from radpath.data.reading import read_image
from radpath.data.record_filter import keep_where_known
from radpath.data.scan import scan
from radpath.data.slides.cutting import cut_slides
from radpath.data.stain.fitting import fit_stain_of
from radpath.data.stain.normalisation import StainReference
from radpath.errors import DataError
from radpath.models.backbones import build_backbone
from radpath.recipes.beginning import check_sizes
from radpath.recipes.experiment import Experiment, compose_experiment, read_experiment
from radpath.recipes.fit import compose_wanted
from radpath.recipes.gathering import data_values, run_name
from radpath.recipes.planning import derive_plan
from radpath.recipes.running import image_source, read_intensity, read_stain
from radpath.recipes.telling import say_path
from radpath.reporting.contact_sheet import Picture, contact_sheet, png_bytes
from radpath.run_folder import RunFolder
from radpath.settings import flatten, override
from radpath.training.device import require_device

NUM_IMAGES: Final = 6
NUM_DRAWS: Final = 4
CELL_PX: Final = 192

_PADDING_LEVELS: Final = (214, 168)  # of the hatching: neither black, like the padding itself, nor like most images
_EPOCHS_SEARCHED: Final = 8
_STRIPES: Final = 28  # across a canvas
_CERTAIN: Final = ChanceSettings(**dict.fromkeys(RANGES, 1.0))

Row = tuple[str, list[Picture], list[str]]
"""A step in words, the images after it, and what was drawn for each."""

Fitted = tuple[Intensity, StainReference | None]
"""What a run fitted on its training images."""


def preview(target: Location, *, assignments: list[str], out: Path | None) -> Path:
    """Write ``preview.png`` into a folder; return the file.

    Args:
        target: an ``experiment.toml``, a run folder, or images: a folder or an array file, which may be an address.
        assignments: ``key=value`` settings that win.
        out: the folder; None for a new one below ``runs``.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    experiment, manifest, fitted = _what_to_show(target, assignments)
    with tempfile.TemporaryDirectory() as stores:
        chosen = _chosen(manifest)
        # Without a run, the images that are shown stand for its training images, here and for the intensity.
        stain = fitted[1] if fitted else fit_stain_of(chosen, experiment.data, experiment.pixels.stain)
        some, store = prepare(chosen, experiment.data, experiment.pixels, stores=Path(stores), stain=stain)
        rows = _rows(experiment, some, store, fitted)
    titles = some.kept["record_id"].to_list()
    sheet = contact_sheet(
        [pictures for _, pictures, _ in rows],
        column_titles=[Path(title).name for title in titles],
        row_titles=[title for title, _, _ in rows],
        captions=[captions for _, _, captions in rows],
        cell_px=CELL_PX,
    )
    path = (out or Path("runs") / f"{_name(target)}-preview") / "preview.png"
    files.write_bytes(path, png_bytes(sheet))
    say_path("Preview", path)
    return path


def _name(target: Location) -> str:
    """Return what a target is called: a run's experiment after its run, any other after itself."""
    if target.suffix != ".toml":
        return run_name(target)
    return target.absolute().parent.name if target.stem == "experiment" else target.stem


def _what_to_show(target: Location, assignments: list[str]) -> tuple[Experiment, Manifest, Fitted | None]:
    """Return the experiment that a target stands for, its images, and what a run fitted on its training images."""
    if isinstance(target, Path) and target.suffix == ".toml":
        experiment = read_experiment(target, assignments)
        return experiment, _scanned(experiment), None
    if isinstance(target, Path) and (target / "experiment.toml").is_file():
        folder = RunFolder.open(target)
        experiment = read_experiment(folder.experiment, assignments)
        manifest = Manifest.read(folder.manifest, images=experiment.data.images)
        training = manifest.replace(manifest.table.filter(pl.col("split") == "train"))
        fitted = None if assignments else (read_intensity(folder), read_stain(experiment, folder))
        return experiment, training, fitted
    return *_planned(target, assignments), None


def _planned(images: Location, assignments: list[str]) -> tuple[Experiment, Manifest]:
    """Return the experiment that ``fit`` would run on images whose labels it does not need."""
    given = {"data": data_values(images, None)}
    wanted = compose_wanted(given, assignments)
    manifest = _scanned(wanted)
    plan = derive_plan(
        measure(manifest),
        sides_given=False,
        asked=flatten(override(given, assignments)),
        backbone=build_backbone(wanted.model.unfilled()),
        accelerator=require_device(wanted.device),
    )
    return compose_experiment({**plan.values, **given}, assignments), manifest


def _scanned(experiment: Experiment) -> Manifest:
    """Scan images, and read from their names what a pattern finds there; labels are not needed to look at them.

    Raises:
        DataError: there is none.
    """
    manifest, pattern = scan(experiment.data), experiment.data.name_pattern
    named = manifest if pattern is None or is_array_file(experiment.data.images) else attach_names(manifest, pattern)
    if named.kept.is_empty():
        raise DataError(f"{named.images} has no image that can be used; `radpath scan` says why")
    return cut_slides(keep_where_known(assume_cases(named), experiment.data), experiment.data)


def _chosen(manifest: Manifest) -> Manifest:
    """Return a few images, spread evenly over all."""
    kept = manifest.kept.sort("label", "record_id", nulls_last=True)
    places = np.unique(np.linspace(0, len(kept) - 1, NUM_IMAGES).round().astype(int))
    return manifest.replace(kept[places.tolist()].sort("record_id"))


def _rows(experiment: Experiment, some: Manifest, store: PixelStore, fitted: Fitted | None) -> list[Row]:
    backbone = build_backbone(experiment.model.unfilled())
    check_sizes(experiment, backbone)
    pixels, kept = experiment.pixels, some.kept
    own = fit_intensity(pixels.intensity, pixels.intensity_scope, pixels.range, store.statistics)
    intensity = fitted[0] if fitted else own
    source = image_source(
        experiment,
        store,
        kept,
        classes=(),
        smallest_canvas_px=backbone.smallest_canvas_px,
        intensity=intensity,
    )
    augmentation, seed = experiment.augmentation, experiment.training.seed
    shown = _Shown(source, seed)
    alone = [_alone(shown, operation, augmentation) for operation in augmentation.operations]
    together = [_together(shown, augmentation, epoch=epoch) for epoch in range(1, NUM_DRAWS + 1)]
    flips = [_flipped(shown, augmentation)] if augmentation.flips != "none" else []
    return [_as_stored(some, experiment), shown.on_canvas(), *flips, *alone, *together]


class _Shown:
    """Batches of the chosen images as pictures, all with the grey levels of the first look."""

    def __init__(self, source: ImageSource, seed: int) -> None:
        """Look at the images as they are."""
        self._source, self.seed = source, seed
        self.positions = np.arange(len(source))
        plain = self._in_order([source.assemble(batch) for batch in source.in_order()])
        self._plain = plain
        # Prepared values may lie a little outside of 0..1; then that is what becomes black and white.
        self._low = min(0.0, *(float(image.min()) for image, _, _ in plain))
        self._high = max(1.0, *(float(image.max()) for image, _, _ in plain))

    def on_canvas(self) -> Row:
        """Return the images in their batches, with the padding hatched."""
        captions = [_padding_text(image, height, width) for image, height, width in self._plain]
        title = "On its canvas, padding hatched"
        return title, [self._hatched(*entry) for entry in self._plain], captions

    def augmented(self, settings: AugmentationSettings, *, epoch: int) -> list[Picture]:
        """Return the images as training sees them in an epoch, with these changes."""
        batches = [
            self._source.assemble_augmented(batch, settings, seed=self.seed, epoch=epoch)
            for batch in self._source.in_order()
        ]
        return [self._hatched(*entry) for entry in self._in_order(batches)]

    def _in_order(self, batches: Sequence[Batch]) -> list[tuple[Tensor, int, int]]:
        """Return each image (channels, height, width) with its own height and width, in the order of the columns."""
        found = {
            int(position): (image, int(height), int(width))
            for batch in batches
            for position, image, height, width in zip(
                batch.positions, batch.images, batch.heights_px, batch.widths_px, strict=True
            )
        }
        return [found[position] for position in sorted(found)]

    def _hatched(self, image: Tensor, height: int, width: int) -> Picture:
        levels = ((image - self._low) / (self._high - self._low) * 255).round().clamp(0, 255).byte()
        return hatch_padding(levels.permute(1, 2, 0).numpy(), height_px=height, width_px=width)


def hatch_padding(picture: np.ndarray, *, height_px: int, width_px: int) -> Picture:
    """Return a canvas (height, width, 1 or 3) whose padding, outside the upper left image, is drawn as stripes."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    stripe_px = max(1, max(picture.shape[:2]) // _STRIPES)
    stripes = np.where((rows + columns) // stripe_px % 2, *_PADDING_LEVELS).astype(np.uint8)[:, :, None]
    is_image = (rows < height_px) & (columns < width_px)
    hatched: np.ndarray = np.where(np.expand_dims(is_image, 2), picture, stripes)
    return hatched[:, :, 0] if hatched.shape[2] == 1 else hatched


def _as_stored(some: Manifest, experiment: Experiment) -> Row:
    rows = some.kept.to_dicts()
    images = [read_image(some.images, row["path"], row["member"], experiment.data) for row in rows]
    return "As the file holds it", [_in_8_bits(image) for image in images], [_file_text(row) for row in rows]


def _in_8_bits(image: np.ndarray) -> Picture:
    """Return an image that can be drawn; more than 8 bits are shown from their darkest to their brightest value."""
    if image.dtype == np.uint8:
        return image
    values = image.astype(np.float64)
    span = float(np.ptp(values)) or 1.0
    levels: np.ndarray = np.rint((values - values.min()) / span * 255).astype(np.uint8)
    return levels


def _flipped(shown: _Shown, settings: AugmentationSettings) -> Row:
    """Return the flips of the early epoch that shows most of them."""

    def views(epoch: int) -> list[int]:
        drawn: list[int] = draw_views(shown.positions, settings, seed=shown.seed, epoch=epoch).tolist()
        return drawn

    epoch = max(range(1, _EPOCHS_SEARCHED + 1), key=lambda number: len(set(views(number))))
    pictures = shown.augmented(settings.only(flips=settings.flips), epoch=epoch)
    return f"Flips: {settings.flips}, as in epoch {epoch}", pictures, [_view_text(view) for view in views(epoch)]


def _alone(shown: _Shown, operation: Operation, settings: AugmentationSettings) -> Row:
    """Return one change, made to every image however rare it is, as it is drawn in the first epoch."""
    only = settings.only(operation).model_copy(update={"chance": _CERTAIN})
    changes = draw_changes(shown.positions, only, seed=shown.seed, epoch=1)
    captions = [_change_text(operation, changes, place) for place in range(len(shown.positions))]
    chance = getattr(settings.chance, operation)
    often = "always" if chance == 1 else f"made {chance:.0%} of the time"
    title = f"{operation.capitalize()}: {RANGES[operation]} = {settings.range_of(operation):g}, {often}"
    return title, shown.augmented(only, epoch=1), captions


def _together(shown: _Shown, settings: AugmentationSettings, *, epoch: int) -> Row:
    pictures = shown.augmented(settings, epoch=epoch)
    return f"All together, as in epoch {epoch}", pictures, [""] * len(pictures)


def _file_text(row: dict[str, Any]) -> str:
    depth = "" if row["bit_depth"] == 8 else f", {row['bit_depth']} bit, shown from darkest to brightest"
    label = "" if row["label"] is None else f"{row['label']}, "
    return f"{label}{row['width_px']} x {row['height_px']} px{depth}"


def _padding_text(image: Tensor, height: int, width: int) -> str:
    canvas = image.shape[-2:]
    share = 1 - height * width / canvas.numel()
    return f"{width} x {height} px on {canvas[1]} x {canvas[0]}, {share:.0%} padding"


def _view_text(view: int) -> str:
    """Return a view in words.

    >>> _view_text(0), _view_text(3)
    ('as it is', 'turned by 90°, mirrored')
    """
    words = [f"turned by {view // 2 * 90}°"] if view > 1 else []
    words += ["mirrored"] if view % 2 else []
    return ", ".join(words) or "as it is"


def _change_text(operation: Operation, changes: Changes, place: int) -> str:
    """Return what was drawn for one image."""
    right, down = -changes.shifts[place] * 100  # what is read further right moves left
    texts: dict[Operation, str] = {
        "rotation": f"{changes.angles_deg[place]:+.1f}°",
        "scale": f"x {changes.magnifications[place]:.2f}",
        "shift": f"{right:+.0f} % right, {down:+.0f} % down",
        "shear": f"{changes.shears_deg[place]:+.1f}°",
        "crop": f"{changes.crop_sides[place] ** 2:.0%} of the area",
        "stain": "H x {:.2f}, E x {:.2f}".format(*changes.stain_factors[place, :2]),
        "brightness": f"{changes.brightness[place] * 100:+.0f} %",
        "contrast": f"x {changes.contrast[place]:.2f}",
        "saturation": f"x {changes.saturation[place]:.2f}",
        "hue": f"{changes.hues_deg[place]:+.0f}°",
        "blur": f"sigma {changes.blur[place] * 100:.2f} % of the side",
        "noise": f"deviation {changes.noise[place] * 100:.1f} %",
        "occlusion": f"{changes.occlusion[place]:.0%} of the area",
    }
    return texts[operation]
