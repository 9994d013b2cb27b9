"""The typical stain of images that are read for it, a few of them, spread evenly over all.

In: a manifest of the training images, and no others: who they are is for the caller to say. Out: a ``StainReference``.
What is measured in an image is in ``normalisation``.
"""

from collections.abc import Iterator

from radpath.data.findings import unreadable
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.preparation import colours_of
from radpath.data.reading import read_image
from radpath.data.stain.normalisation import StainReference, StainSettings, fit_stain, spread_evenly
from radpath.data.stain.optical_density import Rgb
from radpath.progress import track


def fit_stain_of(training: Manifest, data: DataSettings, settings: StainSettings) -> StainReference | None:
    """Return the typical stain of the kept images of a manifest; None where no normalisation is wanted.

    Images without colours are passed over.

    Args:
        training: the images that may be learned from.
        data: how files are read.
        settings: what is measured, and in how many images.

    Raises:
        DataError: an image cannot be read any more, or none shows tissue with two stains.
    """
    if settings.method == "none":
        return None
    return fit_stain(_colour_images(training, data, settings.fit_images), settings.method)


def _colour_images(training: Manifest, data: DataSettings, num_images: int) -> Iterator[Rgb]:
    places = training.kept.sort("record_id").select("path", "member").rows()
    chosen = spread_evenly(places, num_images)
    for path, member in track(chosen, total=len(chosen), what="measuring stains"):
        try:
            colours = colours_of(read_image(training.images, path, member, data))
        except OSError as error:
            raise unreadable(error) from None
        if colours is not None:
            yield colours
