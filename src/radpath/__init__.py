"""radpath: from a folder of medical images and a table of labels to a classifier that can be defended."""

__version__ = "0.1.0"
