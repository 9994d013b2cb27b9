"""Finished runs that are joined: opened, checked to be what they were, and comparable with each other."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radpath import files
from radpath.data.manifest import Manifest
from radpath.errors import DataError, SettingsError
from radpath.evaluation.comparison_joining import named, require_comparable
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.predictions import Predictions, read_predictions
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.staleness import require_same_settings
from radpath.records import Side
from radpath.run_folder import RunFolder
from radpath.training.checkpoints import Checkpoints


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """A finished run."""

    name: str
    """As the user named its folder."""
    folder: RunFolder
    experiment: Experiment
    predictions: Predictions
    evaluation: Evaluation
    model_digest: str
    """Of ``checkpoints/best.safetensors``."""


def open_members(runs: Sequence[Path]) -> list[Member]:
    """Open the runs and refuse what cannot be joined.

    Raises:
        SettingsError: fewer than two runs, or one of them twice.
        StaleError: a run's settings, model or predictions are not those that it was evaluated with.
        LeakError: a test case of one run is a training or validation case of another.
        DataError: a run is not finished, or they differ in classes or test images.
    """
    places = [run.resolve() for run in runs]
    if len(set(places)) < max(2, len(places)):
        raise SettingsError("two or more different runs can be joined; name the folder of each once")
    members = [open_member(run) for run in runs]
    require_comparable({member.name: member.predictions for member in members})
    for other in members[1:]:
        require_same_pictures((members[0].name, _manifest(members[0])), (other.name, _manifest(other)))
    return members


def open_member(run: Path) -> Member:
    """Open a finished run.

    Raises:
        StaleError: its settings, model or predictions are not those that it was evaluated with.
        DataError: it is not finished.
    """
    folder = RunFolder.open(run)
    experiment = read_experiment(folder.experiment, [])
    require_same_settings(folder, experiment)
    best = Checkpoints(folder.checkpoints).best
    if not (best.is_file() and folder.metrics.is_file()):
        raise DataError(f"{run} is not finished; continue it with: radpath train {folder.experiment} --resume")
    digest = files.digest_file(best)
    folder.require_fresh("train", {"checkpoints/best.safetensors": digest}, remedy="restore it, or train again")
    now = {"predictions.csv": files.digest_file(folder.predictions)}
    folder.require_fresh("predict", now, remedy="restore it, or run the experiment again")
    return Member(
        name=str(run),
        folder=folder,
        experiment=experiment,
        predictions=read_predictions(folder.predictions),
        evaluation=Evaluation.from_dict(files.read_json(folder.metrics)),
        model_digest=digest,
    )


def require_same_pictures(first: tuple[str, Manifest], other: tuple[str, Manifest], *, side: Side = "test") -> None:
    """Refuse images of a side that only share their names.

    Args:
        first: a run's name, and its manifest.
        other: another one's.
        side: the side that judges both.

    Raises:
        DataError: saying how many differ, and naming some.
    """
    then, now = (_digests(manifest, side) for _, manifest in (first, other))
    differing = then.join(now, on="record_id", suffix="_now").filter(
        pl.col("file_digest").ne(pl.col("file_digest_now"))
    )
    if len(differing):
        names = differing["record_id"].sort()
        raise DataError(
            f"{len(names):,} {side} images have another content in {other[0]} than in {first[0]} "
            f"({named(names.to_list())}); name runs on the same images"
        )


def _digests(manifest: Manifest, side: Side) -> pl.DataFrame:
    return manifest.kept.filter(pl.col("split") == side).select("record_id", "file_digest")


def _manifest(member: Member) -> Manifest:
    return Manifest.read(member.folder.manifest, images=member.experiment.data.images)
