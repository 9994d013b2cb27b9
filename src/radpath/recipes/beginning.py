"""What comes before a run's first result: a folder for it, a device, and a network that takes its images.

Whatever can be refused is refused here, before the images are read; and a run that is refused leaves no folder behind.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from radpath import files
from radpath.errors import RunInterruptedError, SettingsError, StorageError
from radpath.models.backbones import Backbone, build_backbone
from radpath.recipes.experiment import Experiment
from radpath.run_folder import RunFolder
from radpath.training.device import require_device


def default_folder(out: Path | None, name: str) -> Path:
    """Return the folder of a new run: what the user said, else the first free name below ``runs``."""
    if out is not None:
        return out
    runs = Path("runs")
    candidates = [runs / name, *(runs / f"{name}-{number}" for number in range(2, 10_000))]
    return next(folder for folder in candidates if not folder.exists())


@contextlib.contextmanager
def new_run(root: Path) -> Iterator[RunFolder]:
    """Make the folder of a new run, and take it away again where the block ends before it has an experiment.

    The folder is made first, so that a place that cannot be written is known before hours of reading images.

    Raises:
        StorageError: there is a run already, or the folder cannot be made.
    """
    with files.explained_storage_errors(root):
        made = [folder for folder in (root, *root.parents) if not folder.exists()]
    folder = RunFolder.create(root)
    try:
        yield folder
    except BaseException:
        if not folder.experiment.is_file():
            _take_away(root, made)
        raise


def _take_away(root: Path, made: list[Path]) -> None:
    """Empty a folder, and remove it and those above it that were made with it; what others put there stays."""
    for entry in root.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    with contextlib.suppress(OSError):
        for folder in made:
            folder.rmdir()


def require_trained_here(folder: RunFolder) -> None:
    """Refuse a folder whose model was made from those of other runs.

    Raises:
        SettingsError: it is a soup or an ensemble.
    """
    joined = "an ensemble" if folder.ensemble.is_file() else "a soup" if folder.soup.is_file() else None
    if joined is not None:
        raise SettingsError(
            f"{folder.root} is {joined}, in which nothing was trained; name one of the runs that it was made of, and "
            "join them again afterwards"
        )


@contextlib.contextmanager
def resumable(folder: RunFolder) -> Iterator[None]:
    """Say how to go on where a run that has begun is interrupted, or finds no room to write.

    Raises:
        RunInterruptedError: somebody pressed Ctrl-C.
        StorageError: as raised in the block.
    """
    remedy = f"radpath train {folder.experiment} --resume"
    try:
        yield
    except KeyboardInterrupt:
        raise RunInterruptedError(f"interrupted; what is finished is kept; continue with: {remedy}") from None
    except StorageError as error:
        raise StorageError(f"{error}; what is finished is kept; when there is room, continue with: {remedy}") from error


def require_feasible(experiment: Experiment) -> None:
    """Refuse an experiment whose device is not there, or whose network cannot be built or take its images.

    Raises:
        DeviceError: the device or the precision is not available.
        SettingsError: the backbone is unknown, or cannot work with pixels.size or pixels.size_px.
        WeightsError: the weights are missing or do not fit.
    """
    require_device(experiment.device)
    check_sizes(experiment, build_backbone(experiment.model))


def check_sizes(experiment: Experiment, backbone: Backbone) -> None:
    """Refuse native sizes where padding would change predictions, and sizes that a backbone does not take.

    Raises:
        SettingsError: naming the size to set.
    """
    pixels = experiment.pixels
    if pixels.size == "native" and backbone.padding_problem is not None:
        raise SettingsError(
            f"pixels.size is 'native', which backbone '{backbone.name}' cannot have: {backbone.padding_problem}; "
            "set pixels.size to 'fixed', or take a convolutional backbone"
        )
    required = backbone.required_size_px
    if required is not None and pixels.size_px != required:
        raise SettingsError(
            f"backbone '{backbone.name}' takes images of {required} px only; set pixels.size_px = {required}"
        )
    if pixels.size == "fixed" and pixels.size_px < backbone.smallest_canvas_px // 2:
        raise SettingsError(
            f"pixels.size_px is {pixels.size_px}, too small for backbone '{backbone.name}'; set at least "
            f"{backbone.smallest_canvas_px}"
        )
