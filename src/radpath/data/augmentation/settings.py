"""Which random changes training images undergo, how strong each may be, and how often it is made.

In: a table ``[augmentation]`` of the experiment. Out: ``AugmentationSettings``, from which ``draws`` draws. A range of
zero switches a change off.
"""

from typing import Final, Literal

from pydantic import Field

from radpath.settings import Settings

Flips = Literal["none", "horizontal", "dihedral"]

Operation = Literal[
    "rotation",
    "scale",
    "shift",
    "shear",
    "crop",
    "stain",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "blur",
    "noise",
    "occlusion",
]

RANGES: Final[dict[Operation, str]] = {
    "rotation": "rotation_deg",
    "scale": "scale",
    "shift": "shift",
    "shear": "shear_deg",
    "crop": "crop",
    "stain": "stain",
    "brightness": "brightness",
    "contrast": "contrast",
    "saturation": "saturation",
    "hue": "hue_deg",
    "blur": "blur",
    "noise": "noise",
    "occlusion": "occlusion",
}
"""Each change but the flips, in the order in which they are made, with the setting that holds its range."""


class ChanceSettings(Settings):
    """How often each change is made, as a share of the images that training sees; 0: never, 1: always."""

    rotation: float = Field(default=1.0, ge=0, le=1)
    """How often images are turned."""
    scale: float = Field(default=1.0, ge=0, le=1)
    """How often images are magnified or reduced."""
    shift: float = Field(default=1.0, ge=0, le=1)
    """How often images are moved."""
    shear: float = Field(default=1.0, ge=0, le=1)
    """How often images are slanted."""
    crop: float = Field(default=1.0, ge=0, le=1)
    """How often a part is cut out and enlarged."""
    stain: float = Field(default=1.0, ge=0, le=1)
    """How often stains are varied."""
    brightness: float = Field(default=1.0, ge=0, le=1)
    """How often the brightness is shifted."""
    contrast: float = Field(default=1.0, ge=0, le=1)
    """How often the contrast is scaled."""
    saturation: float = Field(default=1.0, ge=0, le=1)
    """How often the saturation is scaled."""
    hue: float = Field(default=1.0, ge=0, le=1)
    """How often hues are turned."""
    blur: float = Field(default=0.5, ge=0, le=1)
    """How often images are blurred."""
    noise: float = Field(default=0.5, ge=0, le=1)
    """How often noise is added."""
    occlusion: float = Field(default=0.5, ge=0, le=1)
    """How often a rectangle is hidden."""


class AugmentationSettings(Settings):
    """Random changes to training images; validation, test and prediction never see them. A range of 0 means never."""

    flips: Flips = "horizontal"
    """horizontal: mirror left and right half of the time; dihedral: any of the eight flips and quarter turns, for
    images without an up, such as histology; none: never."""
    rotation_deg: float = Field(default=10.0, ge=0, le=180)
    """Images are turned about their centre by up to this angle, either way."""
    scale: float = Field(default=0.1, ge=0, lt=1)
    """Images are magnified or reduced by up to this share."""
    shift: float = Field(default=0.1, ge=0, lt=1)
    """Images are moved by up to this share of each side."""
    shear_deg: float = Field(default=0.0, ge=0, le=60)
    """Images are slanted sideways by up to this angle, either way."""
    crop: float = Field(default=0.0, ge=0, lt=1)
    """Up to this share of the area is cut away; the rest, with the same aspect ratio, is enlarged to the whole."""
    stain: float = Field(default=0.0, ge=0, le=1)
    """For colour images of H&E: the amounts of haematoxylin and eosin (and of what is left over) are each scaled by up
    to this share and shifted by up to this optical density, either way; 0.05 is mild, 0.2 strong."""
    brightness: float = Field(default=0.1, ge=0, le=1)
    """Brightness is shifted by up to this share of the full range, either way."""
    contrast: float = Field(default=0.1, ge=0, lt=1)
    """Contrast about the image's mean is scaled by up to this share, either way."""
    saturation: float = Field(default=0.0, ge=0, le=1)
    """Distances of colours from grey are scaled by up to this share, either way; grey images stay as they are."""
    hue_deg: float = Field(default=0.0, ge=0, le=180)
    """Colours are turned around grey by up to this angle, either way; grey images stay as they are."""
    blur: float = Field(default=0.0, ge=0, le=0.05)
    """Images are blurred by a Gaussian whose standard deviation is up to this share of their longer side: 0.005 is
    1.1 pixels of 224. What is small must survive: 3 pixels of 256 already erase cell nuclei."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Gaussian noise of zero mean, the same in all channels, with a standard deviation of up to this share of the full
    range."""
    occlusion: float = Field(default=0.0, ge=0, lt=1)
    """A rectangle of up to this share of the area is filled with the image's mean colour."""
    chance: ChanceSettings = Field(default_factory=ChanceSettings)

    def range_of(self, operation: Operation) -> float:
        """Return how strong a change may be; 0 where it is never made."""
        strength: float = getattr(self, RANGES[operation])
        return strength if getattr(self.chance, operation) > 0 else 0.0

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The changes, apart from flips, that may be made, in their order."""
        return tuple(operation for operation in RANGES if self.range_of(operation) > 0)

    @property
    def flips_only(self) -> bool:
        """True where an image has only the few views that flips make, so that their features can be kept."""
        return not self.operations

    def only(self, *operations: Operation, flips: Flips = "none") -> "AugmentationSettings":
        """Return the same settings with every other change switched off.

        >>> AugmentationSettings().only("shift").operations
        ('shift',)
        """
        others = {name: 0.0 for operation, name in RANGES.items() if operation not in operations}
        return self.model_copy(update={**others, "flips": flips})
