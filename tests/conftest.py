"""Shared fixtures. Thread settings come first: they must stand before PyTorch is imported."""

import os

# PyTorch's OpenMP threads spin at barriers; under contention (two test processes) that costs up to 18 times the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real medical images beside the checkout; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real medical images is not beside this checkout")
    return SHARED_DATA
