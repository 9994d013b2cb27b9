"""DICOM: one module an idea, from the header without pixels to the pixels as a viewer would show them."""
