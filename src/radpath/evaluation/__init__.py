"""Predictions become numbers. NumPy only: nothing here needs PyTorch or the images."""
