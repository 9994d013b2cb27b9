"""How long, from which seed and towards what a model is trained; how its weights change is in ``optimisation``."""

from typing import Literal

from pydantic import Field, model_validator

from radpath.training.history import Monitor
from radpath.training.optimisation import OptimisationSettings
from radpath.training.watch import WatchSettings


class TrainingSettings(OptimisationSettings):
    """How the model learns."""

    epochs: int = Field(default=14, ge=0)
    """The most epochs; the schedule spans them all. 0: only the logistic start of the head."""
    head_start: Literal["logistic", "random"] = "logistic"
    """logistic: the head starts as the best linear one on the backbone's features, which counts as epoch 0."""
    head_decay: float = Field(default=1.0, gt=0)
    """Penalty on the squared weights of the logistic start, on standardised features."""
    thaw_every: int = Field(default=0, ge=0)
    """Gradual unfreezing: after every so many epochs one more of the stages that model.freeze froze learns, the last
    first; 0: they stay frozen."""
    kept_views: int = Field(default=0, ge=0, le=1024)
    """0: training images are changed anew in every epoch; K: each has K changed views, drawn once from the seed, of
    which an epoch shows one. What the frozen stages compute of them is then computed K times instead of in every epoch.
    With flips alone, that is once for each flipped view anyway."""
    keep_features: Literal["auto", "never"] = "auto"
    """auto: what the frozen stages compute is kept beside the runs, in .features, where images have few views and it
    fits; never: it is computed anew in every epoch, which gives the same numbers."""
    keep_features_gb: float = Field(default=20.0, gt=0)
    """The most that a run may keep, in GB; more is not kept at all."""
    monitor: Monitor = "validation_auc"
    """The column of history.csv by which the best epoch is chosen: the lowest loss, or the highest of the others; a
    lower validation loss breaks ties."""
    patience: int = Field(default=10, ge=1)
    """Training stops after this many epochs without a better training.monitor."""
    seed: int = Field(default=0, ge=0)
    """Decides the head's first weights, the batches, the augmentation and the dropout."""
    watch: WatchSettings = WatchSettings()

    @model_validator(mode="after")
    def _something_is_learned(self) -> "TrainingSettings":
        if self.epochs == 0 and self.head_start == "random":
            raise ValueError(
                "training.epochs is 0 and training.head_start is 'random': nothing would be learned; change one of them"
            )
        return self

    @model_validator(mode="after")
    def _only_classes_are_balanced(self) -> "TrainingSettings":
        if self.sampling == "balanced" and self.loss.link == "sigmoid":
            raise ValueError(
                "training.sampling is 'balanced', which draws each class equally often, and an image with several "
                "labels has no class; set training.sampling = 'natural', or training.loss.class_weights = 'balanced'"
            )
        return self

    def num_thawed(self, epoch: int) -> int:
        """Return how many of the frozen stages learn in an epoch.

        >>> [TrainingSettings(thaw_every=2).num_thawed(epoch) for epoch in (0, 1, 2, 3, 4, 5)]
        [0, 0, 0, 1, 1, 2]
        """
        return max(epoch - 1, 0) // self.thaw_every if self.thaw_every else 0
