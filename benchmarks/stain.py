"""How fast stain normalisation is beside torchstain, and how far the two differ.

Run: ``python benchmarks/stain.py IMAGES`` with a folder of H&E images. Each is cut to squares of 256 px, or padded from
its other side by reflection; each round normalises all of them in each way, one after the other, so that a busy machine
slows all alike; the median of the rounds is printed and written. Both sides get the same reference.
"""

import argparse
import datetime as dt
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torchstain
from PIL import Image
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer
from torchstain.numpy.normalizers.reinhard import NumpyReinhardNormalizer

from radpath.data.stain.macenko import MacenkoStains, measure
from radpath.data.stain.normalisation import fit_stain, normalise
from radpath.data.stain.optical_density import LEAST_DENSITY, tissue_of, to_densities, to_planes

SIDE_PX: Final = 256
ROUNDS: Final = 7
RESULTS: Final = Path(__file__).parent / "results"

Way = Callable[[np.ndarray], np.ndarray]


def tiles(folder: Path) -> list[np.ndarray]:
    """Return one square of each image that shows tissue with two stains."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in {".png", ".tif", ".tiff", ".jpg", ".jpeg"}:
            with Image.open(path) as opened:
                image = np.asarray(opened.convert("RGB"))[:SIDE_PX, :SIDE_PX]
            missing = [(0, SIDE_PX - side) for side in image.shape[:2]]
            found.append(np.pad(image, [*missing, (0, 0)], mode="symmetric"))
    return [tile for tile in found if isinstance(measure(tile), MacenkoStains)]


def ways(images: list[np.ndarray]) -> dict[str, Way]:
    """Return what is compared, by name."""
    ours = {method: fit_stain(images, method) for method in ("macenko", "reinhard")}
    stains = ours["macenko"].typical
    assert isinstance(stains, MacenkoStains)
    array = NumpyMacenkoNormalizer()
    array.HERef, array.maxCRef = stains.colours, np.array(stains.strengths)
    tensor = torchstain.normalizers.MacenkoNormalizer(backend="torch")
    tensor.HERef, tensor.maxCRef = (torch.tensor(one, dtype=torch.float32) for one in (array.HERef, array.maxCRef))
    transfer = NumpyReinhardNormalizer()
    transfer.fit(images[0])
    return {
        "radpath macenko": lambda image: normalise(image, ours["macenko"]).image,
        "torchstain macenko, NumPy": lambda image: array.normalize(image, stains=False)[0],
        "torchstain macenko, PyTorch": lambda image: tensor.normalize(
            torch.from_numpy(image).permute(2, 0, 1), stains=False
        )[0].numpy(),
        "radpath reinhard": lambda image: normalise(image, ours["reinhard"]).image,
        "torchstain reinhard, NumPy": transfer.normalize,
    }


def rates(images: list[np.ndarray], compared: dict[str, Way]) -> dict[str, list[float]]:
    """Return images a second of each way in each round."""
    found: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(ROUNDS):
        for name, way in compared.items():
            start = time.perf_counter()
            for image in images:
                way(image)
            found[name].append(len(images) / (time.perf_counter() - start))
    return found


def agreement(images: list[np.ndarray]) -> list[str]:
    """Return how far the measured stains are from torchstain's, with glass and without."""
    lines = ["| pixels | colours, largest difference | strengths, largest relative difference |", "|---|---|---|"]
    for pixels, keep_glass in (("tissue alone", False), ("with glass", True)):
        colours, strengths = [0.0], [0.0]
        for image in images:
            flat = image.reshape(-1, 1, 3)
            densities = to_densities(to_planes(flat))
            chosen = (
                flat if keep_glass or tissue_of(densities) is None else flat[densities.min(axis=0) >= LEAST_DENSITY]
            )
            own, oracle = measure(chosen), NumpyMacenkoNormalizer()
            assert isinstance(own, MacenkoStains)
            oracle.fit(chosen)
            colours.append(float(np.abs(own.colours - oracle.HERef).max()))
            strengths.append(float(np.abs(oracle.maxCRef / own.strengths - 1).max()))
        lines.append(f"| {pixels} | {max(colours):.1e} | {max(strengths):.1e} |")
    return lines


def main() -> None:
    """Print the table, and write it with the machine and the versions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of H&E images")
    images = tiles(parser.parse_args().images)
    torch.set_num_threads(1)
    compared = ways(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchstain divides by a spread of 0 in images of one colour
        measured = rates(images, compared)
        agreed = agreement(images)
    text = page(len(images), measured, agreed)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"stain-{today():%Y-%m-%d}.md").write_text(text, encoding="utf-8")


def today() -> dt.date:
    """Return the date."""
    return dt.datetime.now(tz=dt.UTC).date()


def page(num_images: int, measured: dict[str, list[float]], agreed: list[str]) -> str:
    """Return the results as Markdown."""
    medians = {name: statistics.median(runs) for name, runs in measured.items()}
    rows = []
    for name, rate in medians.items():
        method = "macenko" if "macenko" in name else "reinhard"
        rows.append(f"| {name} | {rate:.0f} | {rate / medians[f'torchstain {method}, NumPy']:.1f} |")
    versions = f"NumPy {np.__version__}, PyTorch {torch.__version__}, torchstain {version('torchstain')}"
    return f"""# Stain normalisation

`python benchmarks/stain.py IMAGES` on {today():%Y-%m-%d}: {num_images} tiles of {SIDE_PX} px,
median of {ROUNDS} interleaved rounds, one thread; {platform.machine()}, {os.cpu_count()} cores with a load of
{os.getloadavg()[0]:.1f} from other work, Python {platform.python_version()}, {versions}.
Trust the ratios.

| | images a second | times torchstain's NumPy |
|---|---|---|
{chr(10).join(rows)}

Stains that are measured, beside torchstain's:

{chr(10).join(agreed)}

With glass the strengths differ on purpose: torchstain takes the 99th percentile of all pixels, radpath of tissue.
"""


if __name__ == "__main__":
    main()
