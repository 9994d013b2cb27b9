"""Images in memory and a network of two convolutions: a whole training takes a tenth of a second."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from radpath.data.batches import BatchSettings, ImageSource
from radpath.data.pixel_store import PixelStore
from radpath.data.preparation import PixelSettings
from radpath.models.backbones import Backbone
from radpath.models.classifier import Classifier, Link, ModelSettings
from radpath.models.weights import LoadReport
from radpath.training.device import DeviceSettings, connect

FEATURES = 8

ModelMaker = Callable[..., Classifier]
SourceMaker = Callable[..., ImageSource]


def build_tiny_model(
    *, num_classes: int = 2, features: int = FEATURES, seed: int = 0, link: Link = "softmax", **settings: object
) -> Classifier:
    """Return a classifier with a stem and one stage; ``settings`` are those of the model, and its head's dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(3, features, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        network.feature_info = [{"module": "2", "reduction": 2}, {"module": "4", "reduction": 4}]  # type: ignore[assignment] # as timm's networks have it
        report = LoadReport(source="none", origin="random", sha256="", loaded=0, left_over=())
        config = {"num_features": features, "mean": (0.5,) * 3, "std": (0.25,) * 3}
        backbone = Backbone(network, name="tiny", report=report, config=config)
        head = {"dropout": settings.pop("dropout", 0.2)}
        values = {"weights": "none", "norm_statistics": "batch", "head": head, **settings}
        return Classifier(backbone, ModelSettings.model_validate(values), num_classes=num_classes, link=link)


def build_source(
    images: Sequence[np.ndarray], labels: Sequence[int], *, size: str = "native", batch_size: int = 8
) -> ImageSource:
    """Return images with their labels as one side of a split; "fixed" pads to 32 px."""
    return ImageSource(
        store=PixelStore.of_images([f"{place}.png" for place in range(len(images))], images),
        rows=np.arange(len(images)),
        labels=np.array(labels, dtype=np.int64),
        pixels=PixelSettings.model_validate({"size": size, "size_px": 32}),
        batches=BatchSettings(size=batch_size),
    )


def draw_bright_and_dark(
    num_images: int, *, seed: int = 0, contrast: int = 12, size: str = "native", batch_size: int = 8
) -> ImageSource:
    """Return grey noise of many sizes, every other image (class 1) brighter; 0 contrast: nothing to learn."""
    rng = np.random.default_rng(seed)
    labels = [place % 2 for place in range(num_images)]
    images = []
    for label in labels:
        height, width = rng.integers(12, 33, size=2)
        grey = rng.normal(120 + contrast * (2 * label - 1), 40, size=(height, width, 1))
        images.append(grey.clip(0, 255).astype(np.uint8))
    return build_source(images, labels, size=size, batch_size=batch_size)


@pytest.fixture(scope="session")
def make_model() -> ModelMaker:
    return build_tiny_model


@pytest.fixture(scope="session")
def make_source() -> SourceMaker:
    return build_source


@pytest.fixture(scope="session")
def bright_and_dark() -> SourceMaker:
    return draw_bright_and_dark


@pytest.fixture(scope="session")
def fabric() -> Fabric:
    return connect(DeviceSettings(device="cpu"))
