"""Makes the faults that real folders have, with a list of them, so that finding them can be tested and shown.

In: the planned images of a study. Out: for each fault, the files and label rows that it adds. Every fault adds
something and none takes something away, so that the clean images are the same with and without faults. Writing is
left to ``study``.
"""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from radpath.data.synthetic.planning import PlannedImage, case_name
from radpath.data.synthetic.tissue import Kind

FaultKind = Literal[
    "truncated",
    "one-pixel",
    "identical-file",
    "identical-pixels",
    "not-an-image",
    "case-without-label",
    "case-with-two-labels",
    "label-without-images",
]

_TEXT_FILE: Final = "notes.txt"
_STORED: Final = 0  # no compression: surely other bytes than the original's


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlantedFault:
    """Something that is wrong on purpose."""

    kind: FaultKind
    files: tuple[str, ...]
    """The files concerned, below the images folder; for copies, the original first. Empty where none is."""
    cases: tuple[str, ...]
    """The cases concerned, in the order of the files; empty where none is."""
    message: str
    """What is wrong, in one sentence."""

    def __str__(self) -> str:
        return self.message


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """A fault with all that it adds to a study."""

    fault: PlantedFault
    contents: Mapping[str, bytes]
    """Content of each added file."""
    truth: Mapping[str, Kind]
    """What each added image file shows."""
    label_rows: tuple[tuple[str, Kind], ...] = ()
    """Added rows (case, label) of the table of labels."""


def png_bytes(pixels: UInt8[np.ndarray, "height width 3"], *, compression: int = 1) -> bytes:
    """Return the pixels as a PNG file; ``compression`` is from 0 (none) to 9, and noise gains little above 1."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=compression)
    return buffer.getvalue()


def plan_faults(
    images: Sequence[PlannedImage], *, unlabelled: Sequence[PlannedImage], disputed: Sequence[PlannedImage]
) -> list[FaultPlan]:
    """Return one fault of every kind.

    Args:
        images: the clean images; at least two cases of each kind of tissue.
        unlabelled: all images of a further case, which gets no label.
        disputed: all images of a further case, which gets two labels.
    """
    last_case = max(int(image.case.removeprefix("case_")) for image in (*images, *unlabelled, *disputed))
    return [
        _truncated(_images_of("normal", images, nth=0)),
        _one_pixel(_images_of("benign", images, nth=0)),
        _identical_file(_images_of("invasive", images, nth=0), _images_of("invasive", images, nth=1)),
        _identical_pixels(_images_of("in_situ", images, nth=0), _images_of("in_situ", images, nth=1)),
        _not_an_image(),
        _case_without_label(unlabelled),
        _case_with_two_labels(disputed),
        _label_without_images(case_name(last_case + 1)),
    ]


def _images_of(kind: Kind, images: Sequence[PlannedImage], *, nth: int) -> list[PlannedImage]:
    """Return the images of the n-th case of a kind of tissue."""
    case = sorted({image.case for image in images if image.kind == kind})[nth]
    return [image for image in images if image.case == case]


def _one_more(images: Sequence[PlannedImage]) -> PlannedImage:
    """Return the image that would come next in a case."""
    return dataclasses.replace(images[-1], number=len(images) + 1)


def _truncated(images: Sequence[PlannedImage]) -> FaultPlan:
    image = _one_more(images)
    content = png_bytes(image.draw())
    return FaultPlan(
        fault=PlantedFault(
            kind="truncated", files=(image.name,), cases=(image.case,), message=f"{image.name} ends in the middle"
        ),
        contents={image.name: content[: len(content) // 2]},
        truth={image.name: image.kind},
    )


def _one_pixel(images: Sequence[PlannedImage]) -> FaultPlan:
    image = dataclasses.replace(_one_more(images), height_px=1, width_px=1)
    return FaultPlan(
        fault=PlantedFault(
            kind="one-pixel", files=(image.name,), cases=(image.case,), message=f"{image.name} has a single pixel"
        ),
        contents={image.name: png_bytes(image.draw())},
        truth={image.name: image.kind},
    )


def _identical_file(donor: Sequence[PlannedImage], receiver: Sequence[PlannedImage]) -> FaultPlan:
    original, copy = donor[0], dataclasses.replace(_one_more(receiver), stain=donor[0].stain)
    return FaultPlan(
        fault=PlantedFault(
            kind="identical-file",
            files=(original.name, copy.name),
            cases=(original.case, copy.case),
            message=f"{copy.name} is a copy of {original.name}, under another case",
        ),
        contents={copy.name: png_bytes(original.draw())},
        truth={copy.name: original.kind},
    )


def _identical_pixels(donor: Sequence[PlannedImage], receiver: Sequence[PlannedImage]) -> FaultPlan:
    original, copy = donor[0], dataclasses.replace(_one_more(receiver), stain=donor[0].stain)
    return FaultPlan(
        fault=PlantedFault(
            kind="identical-pixels",
            files=(original.name, copy.name),
            cases=(original.case, copy.case),
            message=f"{copy.name} has the pixels of {original.name}, compressed otherwise, under another case",
        ),
        contents={copy.name: png_bytes(original.draw(), compression=_STORED)},
        truth={copy.name: original.kind},
    )


def _not_an_image() -> FaultPlan:
    return FaultPlan(
        fault=PlantedFault(kind="not-an-image", files=(_TEXT_FILE,), cases=(), message=f"{_TEXT_FILE} is a text"),
        contents={_TEXT_FILE: b"The second tray was stained again.\n"},
        truth={},
    )


def _case_without_label(images: Sequence[PlannedImage]) -> FaultPlan:
    case = images[0].case
    return FaultPlan(
        fault=PlantedFault(
            kind="case-without-label",
            files=tuple(image.name for image in images),
            cases=(case,),
            message=f"{case} has images and no label",
        ),
        contents={image.name: png_bytes(image.draw()) for image in images},
        truth={image.name: image.kind for image in images},
    )


def _case_with_two_labels(images: Sequence[PlannedImage]) -> FaultPlan:
    case = images[0].case
    return FaultPlan(
        fault=PlantedFault(
            kind="case-with-two-labels",
            files=tuple(image.name for image in images),
            cases=(case,),
            message=f"{case} is labelled benign and in_situ",
        ),
        contents={image.name: png_bytes(image.draw()) for image in images},
        truth={image.name: image.kind for image in images},
        label_rows=((case, "benign"), (case, "in_situ")),
    )


def _label_without_images(case: str) -> FaultPlan:
    return FaultPlan(
        fault=PlantedFault(
            kind="label-without-images", files=(), cases=(case,), message=f"{case} has a label and no images"
        ),
        contents={},
        truth={},
        label_rows=((case, "normal"),),
    )
