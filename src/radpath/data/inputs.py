"""The settings that say where images and labels are, and how to read them.

In: a table ``[data]`` of the experiment. Out: ``DataSettings``, which ``scan``, ``labels`` and ``verify`` read. Whether
the named files exist is found out there, not here.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from radpath.data.dicom.settings import DicomSettings
from radpath.data.formats.tiff import TiffSettings
from radpath.data.label_sets import LabelSetSettings
from radpath.data.location import Location, RemotePath, parse_location
from radpath.data.slides.settings import SlideSettings
from radpath.settings import Settings


def _read_place(value: object) -> Location:
    if not isinstance(value, str | Path | RemotePath):
        raise PydanticCustomError("place_type", "Input should be a path or an address")
    return parse_location(value)


Place = Annotated[
    Location,
    PlainValidator(_read_place),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A path or an address, as settings hold it."""

Transparency = Literal["white", "black", "refuse"]


_NOT_SHAPING: Final = {
    *("images", "labels", "path_column", "label_column", "case_column", "split_column", "name_pattern"),
    *("max_pixels", "min_side_px", "max_side_px", "stains", "modalities", "keep", "ray", "class_order", "label_sets"),
    "keep_columns",
}
"""Settings that choose images, or say what they are; the others change the pixels that a file gives."""


class DataSettings(Settings):
    """Where the images and the labels are, and what their names mean."""

    images: Place
    """Folder of images, or one array file (.npz) in the MedMNIST layout; a path, or an address such as
    s3://bucket/folder."""
    labels: Place | None = None
    """Table (CSV or TSV, UTF-8) of labels; without it, the folders directly below the images folder are the classes."""
    path_column: str | None = None
    """Column of the table that names the image; not set: found by its name or its values; "": there is none."""
    label_column: str | None = None
    """Column of the table that holds the class; not set: found by its name."""
    case_column: str | None = None
    """Column that names the case (patient, specimen, exam), which splits never divide; "": ignore such a column."""
    split_column: str | None = None
    """Column that says train, validation or test; not set: found by its name; "": ignore such a column."""
    name_pattern: str | None = None
    """Regular expression searched in each image's path below the folder; its named groups (case, stain, label, split)
    fill those columns, any other group becomes a column name_GROUP. For example (?P<case>[0-9]+)_(?P<stain>[a-z]+)."""
    class_order: tuple[str, ...] = ()
    """The classes in their order, the lowest first, for training.loss.kind = "ordinal", and for tables and figures; []:
    by name, where numbers count as numbers."""
    min_side_px: Annotated[int, Field(ge=1)] = 2
    """Images with a shorter side, be it width or height, are excluded."""
    max_side_px: Annotated[int, Field(ge=1)] | None = None
    """Images with a longer side, be it width or height, are excluded."""
    stains: tuple[str, ...] = ()
    """Only images with one of these stains are kept, as the group stain of name_pattern tells it; []: any."""
    modalities: tuple[str, ...] = ()
    """Only images with one of these modalities are kept, as DICOM headers tell it, such as CR or MG; []: any."""
    keep: str | None = None
    """Only images for which this is true are kept: an expression over the manifest's columns in the words of SQL, for
    example stain = 'HE' and width_px >= 64."""
    keep_columns: tuple[str, ...] | None = None
    """Further columns of the table that are kept as characteristics of the images, for subgroups and drift; not set:
    those called site, hospital, sex, gender, age, race, ethnicity, scanner, vendor, view, ...; []: none."""
    max_pixels: Annotated[int, Field(gt=0)] = 200_000_000
    """Larger images (width times height) are excluded without being decoded."""
    transparency: Transparency = "white"
    """What shows through transparent pixels: white, black, or refuse such images."""
    ray: str | None = None
    """Ray cluster on whose machines files are scanned and decoded: "local" (all processors of this one), "auto" (the
    cluster that this machine belongs to) or an address such as ray://head:10001; not set: here."""
    dicom: DicomSettings = DicomSettings()
    """DICOM files."""
    tiff: TiffSettings = TiffSettings()
    """TIFF files."""
    slides: SlideSettings = SlideSettings()
    """Whole slides."""
    label_sets: LabelSetSettings = LabelSetSettings()
    """Several labels an image."""

    @field_validator("name_pattern")
    @classmethod
    def _pattern_names_a_group(cls, pattern: str | None) -> str | None:
        """Refuse a pattern that does not compile or that names nothing."""
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        if not groups:
            raise ValueError(f"{pattern!r} has no named group; write for example (?P<case>[0-9]+)")
        return pattern


def shaping_values(settings: DataSettings) -> dict[str, Any]:
    """Return the settings that change which pixels a file gives, as JSON holds them."""
    shaping = settings.model_dump(mode="json", exclude=_NOT_SHAPING)
    shaping["dicom"].pop("key_file")  # it names cases, and is no business of anybody else
    return shaping
