"""What stain normalisation a run uses, the typical stain of its training images, and every image brought to it.

In: the settings, and RGB images. Out: a reference, a few numbers that are kept with the model, and normalised images.
Which images are those of training, and how many were left as they are, is up to preparation. The methods themselves
are in ``macenko`` and ``reinhard``.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from radpath.data.stain import macenko, reinhard
from radpath.data.stain.macenko import MacenkoStains
from radpath.data.stain.optical_density import Rgb, Unmeasured
from radpath.data.stain.reinhard import ReinhardStatistics
from radpath.errors import DataError
from radpath.settings import Settings

Method = Literal["macenko", "reinhard"]
Item = TypeVar("Item")


class StainSettings(Settings):
    """Stain normalisation of H&E images; the same in training, validation, test and prediction."""

    method: Literal["none", "macenko", "reinhard"] = "none"
    """macenko: the two stains of each image get the colours and strengths that the training images typically have;
    reinhard: lightness and colour get their mean and spread; none: colours stay as they are."""
    fit_images: int = Field(default=200, ge=1)
    """How many training images, evenly spread over all of them, say what is typical."""


class StainReference(BaseModel):
    """The typical stain of the training images, as JSON beside the model keeps it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    typical: Annotated[MacenkoStains | ReinhardStatistics, Field(discriminator="method")]
    num_images: int
    """Images that it is the median of."""
    num_without_tissue: int
    """Images that were looked at and show too little tissue: fewer than 1 % or 64 pixels take away light."""
    num_of_one_colour: int
    """Images that were looked at and show no two stains."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Normalised:
    """An image after normalisation, or as it was, with the reason."""

    image: Rgb
    unchanged: Unmeasured | None
    """Why the image is as it was; None where it was normalised."""


def fit_stain(images: Iterable[Rgb], method: Method) -> StainReference:
    """Return the typical stain of images: the median, number by number, of what each image shows.

    Each image counts the same, however large it is and however much tissue it shows, so that a few odd ones (pen marks,
    folds) decide nothing; their order does not matter. One image at a time is in memory, and a few numbers of each.

    Args:
        images: of the training cases only.
        method: what to measure.

    Raises:
        DataError: no image shows tissue with two stains.
    """
    measured: list[MacenkoStains | ReinhardStatistics] = []
    missing: dict[Unmeasured, int] = {"no tissue": 0, "one colour": 0}
    for image in images:
        found = macenko.measure(image) if method == "macenko" else reinhard.measure(image)
        if isinstance(found, str):
            missing[found] += 1
        else:
            measured.append(found)
    if not measured:
        raise DataError(
            f"stain normalisation found no stain to go by: of {sum(missing.values())} training images, "
            f"{missing['no tissue']} show no tissue and {missing['one colour']} only one colour; "
            "set pixels.stain.method=none unless these are H&E images"
        )
    return StainReference(
        typical=_typical(measured),
        num_images=len(measured),
        num_without_tissue=missing["no tissue"],
        num_of_one_colour=missing["one colour"],
    )


def normalise(image: Rgb, reference: StainReference) -> Normalised:
    """Return the image with the reference's stain; one that shows no stain is returned as it is, with the reason."""
    typical = reference.typical
    if isinstance(typical, MacenkoStains):
        changed = macenko.normalise(image, typical)
    else:
        changed = reinhard.normalise(image, typical)
    if isinstance(changed, str):
        return Normalised(image=image, unchanged=changed)
    return Normalised(image=changed, unchanged=None)


def spread_evenly(items: Sequence[Item], number: int) -> list[Item]:
    """Return ``number`` items at equal distances, or all where there are fewer.

    >>> spread_evenly("abcdefghij", 3)
    ['b', 'f', 'i']
    """
    if len(items) <= number:
        return list(items)
    return [items[(2 * place + 1) * len(items) // (2 * number)] for place in range(number)]


def _typical(measured: list[MacenkoStains | ReinhardStatistics]) -> MacenkoStains | ReinhardStatistics:
    stains = [one for one in measured if isinstance(one, MacenkoStains)]
    if stains:
        return macenko.typical(stains)
    return reinhard.typical([one for one in measured if isinstance(one, ReinhardStatistics)])
