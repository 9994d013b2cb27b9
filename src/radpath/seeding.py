"""Randomness is an argument: every generator is derived from the run's seed and the name of its use.

Deriving instead of sharing means that a run resumed at epoch 7 draws what an uninterrupted run draws at epoch 7, and
that one more draw in the split never changes the training.
"""

import hashlib

import numpy as np


def derived_seed(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose, for example ``derived_seed(7, "shuffle", epoch)``.

    >>> derived_seed(7, "shuffle", 1) == derived_seed(7, "shuffle", 1)
    True
    >>> derived_seed(7, "shuffle", 1) == derived_seed(7, "shuffle", 2)
    False
    """
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator_for(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return NumPy's generator for one purpose; the same on every machine."""
    return np.random.default_rng(derived_seed(seed, *purpose))
