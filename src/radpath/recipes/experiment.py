"""All settings of a run, composed in one place; each group is declared beside the code that reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from radpath.data.audit.study import AuditSettings
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.batches import NO_RANDOM_VIEWS, BatchSettings
from radpath.data.inputs import DataSettings
from radpath.data.preparation import PixelSettings
from radpath.data.split import SplitSettings
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.explanation.settings import ExplanationSettings
from radpath.models.classifier import ModelSettings
from radpath.settings import Settings, override, parse_settings, read_toml, render_toml
from radpath.training.device import DeviceSettings
from radpath.training.head_start import NEEDS_A_LINEAR_HEAD
from radpath.training.prediction import PredictionSettings
from radpath.training.settings import TrainingSettings


class Experiment(Settings):
    """Everything that decides a run."""

    question: str = ""
    """What the model is asked, in a sentence, for the report: "Is the lesion malignant?"."""
    data: DataSettings
    audit: AuditSettings = Field(default_factory=AuditSettings)
    split: SplitSettings = Field(default_factory=SplitSettings)
    pixels: PixelSettings = Field(default_factory=PixelSettings)
    batches: BatchSettings = Field(default_factory=BatchSettings)
    augmentation: AugmentationSettings = Field(default_factory=AugmentationSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    prediction: PredictionSettings = Field(default_factory=PredictionSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)
    explanation: ExplanationSettings = Field(default_factory=ExplanationSettings)
    device: DeviceSettings = Field(default_factory=DeviceSettings)

    @model_validator(mode="after")
    def _one_channel_is_grey(self) -> "Experiment":
        if self.model.grey == "sum" and self.pixels.channels != "grey":
            raise ValueError(
                f"model.grey is 'sum', for a network of one channel, but pixels.channels is '{self.pixels.channels}'; "
                "set pixels.channels to 'grey', or model.grey to 'repeat'"
            )
        return self

    @model_validator(mode="after")
    def _an_order_is_stated(self) -> "Experiment":
        if self.training.loss.kind == "ordinal" and not self.data.class_order:
            raise ValueError(
                "training.loss.kind is 'ordinal', and data.class_order does not say in which order the classes stand; "
                'set for example data.class_order = ["low", "middle", "high"]'
            )
        return self

    @model_validator(mode="after")
    def _something_can_be_thawed(self) -> "Experiment":
        every = self.training.thaw_every
        if every and self.model.freeze == "none":
            raise ValueError(
                f"training.thaw_every is {every}, but model.freeze = 'none' leaves nothing to thaw; set model.freeze "
                "to 'all' or to 'top-1', or training.thaw_every to 0"
            )
        if every and (self.device.num_devices > 1 or self.device.launcher == "torchrun"):
            raise ValueError(
                f"training.thaw_every is {every}, but several devices agree once, at the beginning, on what learns; "
                "set device.num_devices to 1 and device.launcher to 'own', or training.thaw_every to 0"
            )
        return self

    @model_validator(mode="after")
    def _kept_views_differ(self) -> "Experiment":
        views = self.training.kept_views
        if views and self.augmentation.flips == "none" and not self.augmentation.operations:
            raise ValueError(
                f"training.kept_views is {views}, but [augmentation] changes nothing, so that all views would be the "
                "same; set training.kept_views to 0, or switch a change on, for example augmentation.rotation_deg = 10"
            )
        return self

    @model_validator(mode="after")
    def _only_linear_heads_are_fitted(self) -> "Experiment":
        if self.training.head_start == "logistic" and self.model.head.kind != "linear":
            raise ValueError(NEEDS_A_LINEAR_HEAD)
        return self

    @model_validator(mode="after")
    def _random_views_are_random(self) -> "Experiment":
        if self.prediction.augmented_views and not self.augmentation.operations:
            raise ValueError(NO_RANDOM_VIEWS)
        return self


_HEADING = """A complete radpath experiment: every setting, what it means, and why it has this value.
Run it again with: radpath train {name}
Relative paths start at the folder where radpath is run."""


def read_experiment(path: Path, assignments: list[str]) -> Experiment:
    """Read an experiment and apply ``key=value`` overrides.

    Raises:
        SettingsError: the file or an override is wrong; the message names the key and the nearest match.
    """
    source = f"{path} with --set" if assignments else str(path)
    return parse_settings(Experiment, override(read_toml(path), assignments), source=source)


def compose_experiment(values: Mapping[str, Any], assignments: list[str]) -> Experiment:
    """Build an experiment from a derived plan and the user's overrides, which win."""
    return parse_settings(Experiment, override(values, assignments), source="--set")


def render_experiment(experiment: Experiment, *, reasons: Mapping[str, str]) -> str:
    """Return the experiment as commented TOML."""
    return render_toml(experiment, heading=_HEADING.format(name="experiment.toml"), reasons=reasons)
