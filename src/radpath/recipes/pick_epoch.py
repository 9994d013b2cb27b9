"""Another epoch than the best takes the model's place, and everything after the training is made anew."""

from functools import partial
from pathlib import Path

from lightning_fabric import Fabric

from radpath import files
from radpath.data.split import Split
from radpath.errors import SettingsError
from radpath.recipes.beginning import require_trained_here
from radpath.recipes.concluding import conclude
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.precision import with_precision_of_run
from radpath.recipes.running import (
    build_model,
    predict_all,
    prepare_pixels,
    read_intensity,
    read_stain,
    sources_of,
    stamp_model,
)
from radpath.recipes.staleness import require_same_data, require_same_settings
from radpath.recipes.telling import say, say_path
from radpath.recipes.train import prepared_split
from radpath.recipes.training_summary import picked_epoch
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints, load_epoch, write_tensors
from radpath.training.device import on_devices
from radpath.training.history import best_of, read_history


def pick_epoch(run: Path, epoch: int) -> RunFolder:
    """Put an epoch's weights in the place of the best ones, and predict, evaluate and report again.

    The report says that the epoch was picked by hand; picking the best one takes that back. Can be interrupted, and
    begun again.

    Args:
        run: a run folder whose training is finished.
        epoch: its number in ``history.csv``.

    Raises:
        SettingsError: there is no such epoch, or the folder is a soup or an ensemble.
        StaleError: images, labels or settings are not those that the run began with.
        RadpathError: bad input; the message says what, where and what to do.
    """
    require_trained_here(RunFolder(run))
    folder = RunFolder.open(run)
    experiment = read_experiment(folder.experiment, [])
    require_same_settings(folder, experiment)
    experiment = with_precision_of_run(experiment, folder)
    folder.stamped("train")
    history = read_history(folder.history)
    numbers = [entry.epoch for entry in history]
    if epoch not in numbers:
        raise SettingsError(f"{folder.root} has no epoch {epoch}; its epochs are {numbers[0]} to {numbers[-1]}")
    split, _ = prepared_split(experiment, folder)
    require_same_data(folder, split.manifest)
    best = best_of(history, experiment.training.monitor).epoch
    if epoch != best:
        files.write_json(folder.picked, {"epoch": epoch})
    on_devices(experiment.device, partial(_predict_with, experiment, split, folder, epoch))
    if epoch == best:
        folder.picked.unlink(missing_ok=True)
    conclude(experiment, folder)
    how = "the best by the rule" if picked_epoch(folder) is None else f"picked by hand; the best is {best}"
    say("")
    say(f"Epoch {epoch} is kept: {how}")
    say_path("Report", folder.report)
    return folder


def _predict_with(experiment: Experiment, split: Split, folder: RunFolder, epoch: int, fabric: Fabric) -> None:
    """Keep the model of an epoch, and predict every side with it."""
    _, store = prepare_pixels(experiment, split.manifest, folder, stain=read_stain(experiment, folder))
    model = build_model(experiment, split.classes)
    sources = sources_of(experiment, split, store, model, intensity=read_intensity(folder))
    kept = Checkpoints(folder.checkpoints)
    load_epoch(model, kept.epoch(epoch))
    if fabric.is_global_zero:
        write_tensors(kept.best, model.state_dict(), {"epoch": epoch})
        stamp_model(folder)
    fabric.barrier()
    predict_all(experiment, model, split, sources, folder, fabric)
