"""Decides, before a training, whether what the frozen stages compute is kept, and says so in one line.

In: a classifier, its sides and the settings. Out: a ``FeatureCache``, or none with the reason. The decision changes how
long a run takes; its numbers stay the same up to rounding.
"""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lightning_fabric import Fabric

from radpath import files
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import ImageSource
from radpath.data.findings import counted
from radpath.models.classifier import Classifier
from radpath.records import Side
from radpath.training.feature_cache import FeatureCache, expected_bytes, keeping_problem
from radpath.training.learners import drawing_of, looks_of_start, training_looks
from radpath.training.looks import Look
from radpath.training.prediction import PredictionSettings, prediction_looks
from radpath.training.settings import TrainingSettings

_GB: Final = 10**9
_FREE_SHARE: Final = 0.9  # of the free disk that may be filled


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeaturePlan:
    """Whether activations are kept."""

    cache: FeatureCache | None
    sentence: str
    """What a person should know: how much is kept and where, or why not; empty where nothing is frozen."""


def plan_features(
    root: Path,
    model: Classifier,
    sources: Mapping[Side, ImageSource],
    settings: TrainingSettings,
    *,
    augmentation: AugmentationSettings,
    prediction: PredictionSettings,
    fabric: Fabric,
    begun_with: bool | None = None,
) -> FeaturePlan:
    """Return a cache below ``root`` where activations can be kept and fit.

    Args:
        root: ``features_beside`` the run.
        model: is moved to the device; what will thaw must be planned already.
        sources: all sides.
        settings: of the training.
        augmentation: of the training images.
        prediction: the views of validation and prediction.
        fabric: where the model computes.
        begun_with: for a resumed run, whether it kept activations when it began; the disk has no say in it any more.
    """
    if model.fixed_stages == 0:
        return FeaturePlan(cache=None, sentence="")
    model.to(fabric.device)
    problem = _settings_problem(settings, augmentation) or keeping_problem(model, sources["train"], fabric)
    if problem is not None:
        return _nothing_kept(problem)
    cache = FeatureCache(root, model, fabric=fabric)
    wanted = _wanted(sources, settings, augmentation, prediction, fabric)
    needed = sum(expected_bytes(model, source, fabric) for source, _ in wanted)
    there = min(needed, sum(cache.kept_bytes(source, look) for source, look in wanted))
    if begun_with is None:
        # Several devices look at the disk at different moments, and have to come to the same end.
        problem = fabric.broadcast(_space_problem(root, settings, needed=needed, there=there))
    elif not begun_with:
        problem = "so this run began, and so it goes on"
    if problem is not None:
        return _nothing_kept(problem)
    known = "all of it there already" if there == needed else f"{size_text(there)} of it there already"
    kept = f"{counted(len(wanted), 'view')} of the sides take {size_text(needed)} in {root}, {known}"
    return FeaturePlan(cache=cache, sentence=f"What the frozen stages compute is kept: {kept}")


def _nothing_kept(problem: str) -> FeaturePlan:
    return FeaturePlan(cache=None, sentence=f"Frozen stages are computed anew in every epoch: {problem}")


def _settings_problem(settings: TrainingSettings, augmentation: AugmentationSettings) -> str | None:
    """Return the setting that leaves nothing to keep, or None."""
    if settings.keep_features == "never":
        return "training.keep_features is 'never'"
    if settings.mix.kind != "none":
        return f"training.mix.kind is '{settings.mix.kind}', and mixed images are others every time"
    if augmentation.operations and not settings.kept_views:
        return (
            "the augmentation is drawn anew each time; with training.kept_views = 8, for example, each image would "
            "have 8 changed views, and only these would be computed"
        )
    return None


def _wanted(
    sources: Mapping[Side, ImageSource],
    settings: TrainingSettings,
    augmentation: AugmentationSettings,
    prediction: PredictionSettings,
    fabric: Fabric,
) -> list[tuple[ImageSource, Look]]:
    """Return every look at every side that a run takes, each once."""
    training, device = sources["train"], fabric.device
    looks = {side: prediction_looks(source, prediction, device=device) for side, source in sources.items()}
    if settings.head_start == "logistic":
        looks["train"] += looks_of_start(training, augmentation)
    if settings.epochs:
        looks["train"] += training_looks(training, drawing_of(settings, augmentation), device=device)
    return [
        (sources[side], look)
        for side, several in looks.items()
        for look in {files.digest_json(look.identity): look for look in several}.values()
        if len(sources[side])
    ]


def _space_problem(root: Path, settings: TrainingSettings, *, needed: int, there: int) -> str | None:
    if needed > settings.keep_features_gb * _GB:
        return f"they would take {size_text(needed)}, and training.keep_features_gb is {settings.keep_features_gb:g}"
    place = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if needed - there > _FREE_SHARE * free:
        return f"they would take {size_text(needed - there)} more, and {place} has {size_text(free)} free"
    return None


def size_text(num_bytes: int) -> str:
    """Return a size as a person reads it.

    >>> size_text(0), size_text(20_500_000), size_text(3_210_000_000)
    ('0 MB', '20 MB', '3.2 GB')
    """
    return f"{num_bytes / _GB:.1f} GB" if num_bytes >= _GB else f"{num_bytes / 10**6:.0f} MB"
