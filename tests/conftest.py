"""Shared fixtures. Thread settings come first: they must stand before PyTorch is imported."""

import os

# PyTorch's OpenMP threads spin at barriers; under contention (two test processes) that costs up to 18 times the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import jaxtyping
import numpy as np
import pytest
from PIL import Image

# radpath itself is imported inside the fixtures: what is imported before the tests begin escapes the check of shapes.
if TYPE_CHECKING:
    from radpath.data.synthetic import SyntheticStudy

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real medical images beside the checkout; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real medical images is not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def program() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The command line, in this process: called with words, it returns the exit code and both outputs."""
    return run_program


def run_program(*words: object) -> "subprocess.CompletedProcess[str]":
    from radpath.cli.main import run

    argv, out, err = ["radpath", *map(str, words)], io.StringIO(), io.StringIO()
    code: object = 0
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run()
        except SystemExit as stop:
            code = stop.code
    return subprocess.CompletedProcess(argv, int(str(code or 0)), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def fast() -> tuple[str, ...]:
    """Settings that make a run of a few seconds: a tiny network with random weights, and few resamples."""
    wishes = ("model.backbone=test_resnet", "model.weights=none", "training.epochs=1", "evaluation.replicates=100")
    return tuple(word for wish in wishes for word in ("--set", wish))


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> "SyntheticStudy":
    """A drawn study with one fault of every kind, 24 to 64 px; shared by all tests, so nobody may change it."""
    from radpath.data.synthetic import SizeRange, write_synthetic

    sizes = SizeRange(smallest_px=24, median_px=40, largest_px=64)
    folder = tmp_path_factory.mktemp("small") / "study"
    return write_synthetic(folder, cases_per_class=5, images_per_case=(1, 2), seed=1, sizes=sizes)


@pytest.fixture(scope="session")
def write_png() -> Callable[[Path, int], None]:
    """Write a small grey PNG of some brightness (0 to 200), whose noise no other path has."""
    return write_noisy_png


def write_noisy_png(path: Path, brightness: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = [brightness, *"/".join(path.parts[-3:]).encode()]
    noise = np.random.default_rng(seed).integers(0, 50, (20, 24))
    Image.fromarray((noise + brightness).astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def array_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MedMNIST file with 24, 8 and 8 images of two classes; the first test image is also a training image."""
    generator, arrays = np.random.default_rng(0), {}
    for side, count in (("train", 24), ("val", 8), ("test", 8)):
        labels = np.arange(count) % 2
        pixels = generator.integers(0, 60, (count, 28, 28)) + 120 * labels[:, None, None]
        arrays[f"{side}_images"] = pixels.astype(np.uint8)
        arrays[f"{side}_labels"] = labels[:, None].astype(np.uint8)
    arrays["test_images"][0] = arrays["train_images"][0]
    path = tmp_path_factory.mktemp("arrays") / "tiny.npz"
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type] # NumPy's stub takes the names for its own options
    return path


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory, small_study: "SyntheticStudy", fast: tuple[str, ...]
) -> Path:
    """The run folder of a small fit on ``small_study``; shared by all tests, so copy it before changing it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    pattern = f"data.name_pattern={small_study.name_pattern}"
    words = ("fit", small_study.images, "--labels", small_study.labels, "--set", pattern, *fast, "--out", folder)
    result = run_program(*words)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Do not check shapes meanwhile: torch.compile cannot translate the checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
