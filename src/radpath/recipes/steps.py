"""``steps``: what each stage of preparation does to a few images, on a contact sheet.

In: a folder of images, and the settings of ``[pixels]``. Out: ``steps.png``, one column an image, one row a stage: as
decoded, with the stain that the images shown typically have, after each threshold and each operation of morphology,
resized, and as the intensity rule makes numbers of it. Nothing is trained; ``preview`` shows what random changes and
padding do.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from radpath import files
from radpath.data.inputs import DataSettings
from radpath.data.intensity import Intensity
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.data.names import assume_cases
from radpath.data.pixels import to_uint8
from radpath.data.preparation import PixelSettings, as_displayed, prepare_image, stages
from radpath.data.reading import read_image
from radpath.data.scan import scan
from radpath.data.slides.cutting import cut_slides
from radpath.data.stain.fitting import fit_stain_of
from radpath.data.stain.normalisation import StainReference, spread_evenly
from radpath.errors import DataError, SettingsError
from radpath.recipes.gathering import data_values, run_name
from radpath.recipes.telling import say, say_path
from radpath.reporting.contact_sheet import contact_sheet, png_bytes
from radpath.settings import override, parse_settings

NUM_IMAGES: Final = 4
CELL_PX: Final = 224


def show_steps(images: Location, *, assignments: list[str], out: Path | None) -> Path:
    """Write ``steps.png`` into a folder; return the file.

    Args:
        images: a folder of images, or an array file.
        assignments: ``key=value`` settings of ``[data]`` and ``[pixels]``.
        out: the folder; None for a new one below ``runs``.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    values = override({"data": data_values(images, None)}, assignments)
    foreign = [name for name in values if name not in ("data", "pixels")]
    if foreign:
        raise SettingsError(f"--set {foreign[0]}: only settings of [data] and [pixels] matter here")
    data = parse_settings(DataSettings, values["data"], source="--set data")
    pixels = parse_settings(PixelSettings, values.get("pixels", {}), source="--set pixels")
    shown = _shown(cut_slides(assume_cases(scan(data)), data), data, pixels)
    rows = list(zip(*shown.values(), strict=True))
    sheet = contact_sheet(
        [[to_uint8(image, intensity="minmax" if _is_wide(image) else "full") for _, image in row] for row in rows],
        column_titles=[Path(record_id).name for record_id in shown],
        row_titles=[row[0][0] for row in rows],
        captions=[[_in_words(image) for _, image in row] for row in rows],
        cell_px=CELL_PX,
    )
    path = (out or Path("runs") / f"{run_name(images)}-steps") / "steps.png"
    files.write_bytes(path, png_bytes(sheet))
    say_path("Steps", path)
    return path


def _shown(manifest: Manifest, data: DataSettings, pixels: PixelSettings) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Return the stages of a few images, evenly spread over all; those that cannot be decoded are told.

    Raises:
        DataError: none can be decoded.
    """
    decoded = {
        row["record_id"]: image
        for row in spread_evenly(manifest.kept.to_dicts(), NUM_IMAGES)
        if (image := _decoded(row, manifest, data)) is not None
    }
    if not decoded:
        raise DataError(f"{manifest.images} has no image that can be shown; `radpath scan` says why")
    # Without sides there are no training images: those that are shown stand for them.
    chosen = manifest.replace(manifest.table.filter(pl.col("record_id").is_in(list(decoded))))
    stain = fit_stain_of(chosen, data, pixels.stain)
    return {name: _stages_and_levels(image, pixels, stain) for name, image in decoded.items()}


def _stages_and_levels(
    image: np.ndarray, pixels: PixelSettings, stain: StainReference | None
) -> list[tuple[str, np.ndarray]]:
    ready = prepare_image(image, pixels, stain=stain)
    seen = as_displayed(ready, _own_intensity(pixels), pixels.percentiles)
    flat = seen[:, :, 0] if seen.shape[2] == 1 else seen
    return [*stages(image, pixels, stain=stain), (f"intensity {pixels.intensity}", flat)]


def _own_intensity(pixels: PixelSettings) -> Intensity:
    """Return the rule for each image by itself: without sides there are no training images to fit it on."""
    zero, one = pixels.range or (None, None)
    return Intensity(rule=pixels.intensity, zero=zero, one=one)


def _decoded(row: dict[str, Any], manifest: Manifest, data: DataSettings) -> np.ndarray | None:
    try:
        return read_image(manifest.images, row["path"], row["member"], data)
    except (DataError, OSError) as error:
        say(f"Left out: {row['record_id']}: {error}")
        return None


def _is_wide(image: np.ndarray) -> bool:
    return image.dtype != np.uint8


def _in_words(image: np.ndarray) -> str:
    """Return an image's size, and its range where a screen cannot show all of it.

    >>> _in_words(np.array([[7, 4095]], np.uint16))
    '2 x 1 px, uint16, shown from 7 to 4095'
    """
    size = f"{image.shape[1]} x {image.shape[0]} px"
    return f"{size}, {image.dtype}, shown from {image.min():g} to {image.max():g}" if _is_wide(image) else size
