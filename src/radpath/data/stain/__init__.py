"""Stain normalisation of H&E images: every image gets the hues that the training images typically have."""
