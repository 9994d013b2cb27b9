"""Small networks of every kind, and images of several sizes on one canvas."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from radpath.data.batches import Batch
from radpath.models.classifier import Classifier, Link, ModelSettings, build_classifier

ModelMaker = Callable[..., Classifier]
BatchMaker = Callable[..., Batch]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small convolutions gain nothing from more, and tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_model() -> ModelMaker:
    """Return a maker of classifiers with random weights, whose BatchNorm has no tame statistics."""

    def make(backbone: str, *, classes: int = 3, link: Link = "softmax", **settings: object) -> Classifier:
        values = {"backbone": backbone, "weights": "none", "norm_statistics": "batch", **settings}
        model = build_classifier(ModelSettings.model_validate(values), num_classes=classes, seed=1, link=link)
        drawn = torch.Generator().manual_seed(2)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.rand(buffer.shape, generator=drawn) * 0.2 - 0.1)
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=drawn) * 0.5 + 0.5)
        return model

    return make


@pytest.fixture(scope="session")
def make_batch() -> BatchMaker:
    """Return a maker of batches: images of the given heights and widths, the same ones on any canvas."""

    def make(
        sizes: Sequence[tuple[int, int]], *, canvas: int, channels: int = 3, rubbish: float = 0.0, seed: int = 0
    ) -> Batch:
        images = torch.full((len(sizes), channels, canvas, canvas), rubbish)
        for place, (height, width) in enumerate(sizes):
            drawn = torch.Generator().manual_seed(1000 * seed + place)
            images[place, :, :height, :width] = torch.rand(channels, height, width, generator=drawn)
        return Batch(
            images=images,
            heights_px=torch.tensor([height for height, _ in sizes]),
            widths_px=torch.tensor([width for _, width in sizes]),
            labels=torch.zeros(len(sizes), dtype=torch.long),
            positions=np.arange(len(sizes)),
        )

    return make
