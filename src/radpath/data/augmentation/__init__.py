"""Random changes to batches of training images: settings, draws, and one module for each kind of change."""
