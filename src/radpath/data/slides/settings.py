"""How slides are cut into patches: the table ``[data.slides]``.

In: values of the experiment. Out: ``SlideSettings``, which the modules beside this one read.
"""

from typing import Literal

from pydantic import Field, model_validator

from radpath.settings import Settings

TissueMethod = Literal["saturation", "grey", "hed"]


class SlideSettings(Settings):
    """How whole slides become patches, or plain images."""

    mode: Literal["patches", "whole"] = "patches"
    """patches: a slide is cut into patches, those with tissue are kept; whole: a slide is one image of its full
    resolution (for small regions), while TIFF and DICOM are read as plain images."""
    patch_px: int = Field(default=224, ge=16, le=4096)
    """Side of a square patch, in pixels as the network gets them."""
    um_per_px: float = Field(default=0.5, gt=0)
    """Resolution of patches in micrometres per pixel; 0.5 is about 20x, 0.25 about 40x."""
    resolution_tolerance: float = Field(default=0.02, ge=0, le=0.2)
    """A stored level whose resolution differs from um_per_px by no more than this share is used without resampling."""
    assumed_um_per_px: float | None = Field(default=None, gt=0)
    """Resolution of the full slide where the file does not say it; not set: such slides are excluded."""
    overlap_px: int = Field(default=0, ge=0)
    """How far neighbouring patches overlap, in pixels of a patch; those at the right and lower edge are moved inwards
    so that nothing is lost, and overlap more."""
    tissue: TissueMethod = "saturation"
    """How tissue is told from glass: saturation or grey (darkness), each with Otsu's threshold; hed: the third channel
    of the haematoxylin-eosin-DAB transform with a fixed threshold, which takes glass darker than 235 of 255 for
    tissue."""
    min_tissue_share: float = Field(default=0.5, ge=0, le=1)
    """Smallest share of a patch's area that must be tissue; 0 keeps every patch."""

    @model_validator(mode="after")
    def _patches_advance(self) -> "SlideSettings":
        """Refuse an overlap that leaves no step from one patch to the next."""
        if self.overlap_px >= self.patch_px:
            raise ValueError(f"overlap_px is {self.overlap_px}, which must be less than patch_px = {self.patch_px}")
        return self
