"""Thumbnails of a run's images for its report, and of where the model looked.

In: the run's manifest and settings; pictures that ``explain`` left. Out: PNG or JPEG bytes.
"""

from pathlib import Path
from typing import final

import numpy as np
import polars as pl

from radpath import files
from radpath.data.intensity import Intensity
from radpath.data.manifest import Manifest
from radpath.data.preparation import as_displayed, prepare_image
from radpath.data.reading import read_image
from radpath.data.stain.normalisation import StainReference
from radpath.errors import DataError
from radpath.recipes.experiment import Experiment
from radpath.reporting.thumbnails import thumbnail


@final
class Pictures:
    """Thumbnails of images as the network gets them; a grey square where an image is not there any more."""

    def __init__(
        self,
        manifest: Manifest,
        experiment: Experiment,
        intensity: Intensity,
        stain: StainReference | None,
        *,
        explanations: Path,
    ) -> None:
        self._manifest, self._experiment, self._intensity, self._stain = manifest, experiment, intensity, stain
        rows = manifest.table.select("record_id", "path", "member").iter_rows()
        self._places = {record_id: (path, member) for record_id, path, member in rows}
        self._overlays = _overlays(explanations)

    def of(self, record_id: str) -> bytes:
        """Return one thumbnail."""
        path, member = self._places.get(record_id, ("", ""))
        try:
            image = read_image(self._manifest.images, path, member, self._experiment.data)
        except (DataError, OSError):
            return thumbnail(np.full((32, 32), 128, dtype=np.uint8))
        pixels = self._experiment.pixels
        ready = prepare_image(image, pixels, stain=self._stain)
        return thumbnail(as_displayed(ready, self._intensity, pixels.percentiles).squeeze())

    def overlay_of(self, record_id: str) -> bytes | None:
        """Return where the model looked when it decided; None where nobody asked."""
        path = self._overlays.get(record_id)
        return path.read_bytes() if path is not None and path.is_file() else None


def _overlays(explanations: Path) -> dict[str, Path]:
    """Return the small overlay of each image whose decision was explained, of the first method that did."""
    index = explanations / "index.csv"
    if not index.is_file():
        return {}
    with files.explained_storage_errors(index):
        rows = pl.read_csv(index, infer_schema=False).filter(pl.col("explained_class") == pl.col("decision"))
    pairs = reversed(list(rows.select("record_id", "thumbnail").iter_rows()))
    return {record_id: explanations / name for record_id, name in pairs}
