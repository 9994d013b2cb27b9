"""``benchmark``: how fast a training would be here, and what holds it up; on drawn images, without any data."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lightning_fabric import Fabric

from radpath import files
from radpath.data.batches import ImageSource
from radpath.data.pixel_store import PixelStore
from radpath.errors import SettingsError
from radpath.models.classifier import Classifier, build_classifier
from radpath.models.weights import BUNDLED_BACKBONE
from radpath.recipes.environment import describe_environment
from radpath.recipes.experiment import Experiment
from radpath.recipes.precision import measured_device
from radpath.recipes.telling import say, say_path, say_rows
from radpath.seeding import generator_for
from radpath.settings import flatten, override, parse_settings, read_toml
from radpath.training.device import arrange, on_devices
from radpath.training.speed import Speed, measure_speed

_BATCHES: Final = 3
_FRESH: Final = {"weights": "none", "norm_statistics": "batch"}
"""The layers are the same whatever the weights, and random ones are always there."""


def benchmark(
    path: Path | None, *, assignments: Sequence[str], out: Path | None, seconds: float, command: str
) -> Speed:
    """Measure images per second of the network, of the batches, and of both; say what holds training up.

    Args:
        path: an experiment.toml, whose data are not read; None for the usual settings.
        assignments: ``key=value`` settings that win.
        out: a JSON file to write; None: none is written.
        seconds: how long to measure; the first steps come before.
        command: the command line, for the file.

    Raises:
        SettingsError: a setting is wrong.
        DeviceError: the device or the precision is not there, or its memory is too small.
    """
    experiment = _experiment(path, assignments)
    if experiment.device.num_devices > 1 or experiment.device.launcher != "own":
        raise SettingsError("benchmark measures one device; set device.num_devices = 1 and device.launcher = 'own'")
    settled = measured_device(experiment, partial(_network, experiment), partial(_images_for, experiment))
    experiment = experiment.model_copy(update={"device": settled})
    speed = on_devices(experiment.device, partial(_measure, experiment, seconds))
    rows = [
        ("network alone", f"{speed.step:,.1f} images/s"),
        ("batches alone", f"{speed.loader:,.1f} images/s"),
        ("training", f"{speed.training:,.1f} images/s, {speed.share_of_step:.1%} of the network alone"),
    ]
    say_rows(f"{experiment.model.backbone}, {experiment.pixels.size_px} px, {experiment.device.precision}", rows)
    say("")
    say(f"What holds training up: {speed.bottleneck}")
    if out is not None:
        device = f"{experiment.device.device}, {torch.get_num_threads()} threads"
        files.write_json(
            out,
            {
                "images_per_second": {"step": speed.step, "loader": speed.loader, "training": speed.training},
                "share_of_step": speed.share_of_step,
                "bottleneck": speed.bottleneck,
                "rounds": speed.rounds,
                "environment": describe_environment(experiment, command=command, device=device),
                "settings": flatten(experiment.model_dump(mode="json")),
            },
        )
        say_path("Numbers", out)
    return speed


def _experiment(path: Path | None, assignments: Sequence[str]) -> Experiment:
    values: dict[str, Any] = {} if path is None else read_toml(path)
    given = override(values, list(assignments))
    model = given.get("model", {})
    if "weights" not in model and model.get("backbone", BUNDLED_BACKBONE) != BUNDLED_BACKBONE:
        given["model"] = {**_FRESH, **model}
    given.setdefault("data", {}).setdefault("images", "drawn")
    experiment = parse_settings(Experiment, given, source=f"{path} with --set" if path else "--set")
    # Drawn images have no classes that weights or costs could name; the loss takes as long without.
    loss = experiment.training.loss.model_copy(update={"class_weights": "none", "given_weights": {}, "costs": {}})
    training = experiment.training.model_copy(update={"loss": loss})
    return experiment.model_copy(update={"training": training})


def _network(experiment: Experiment) -> Classifier:
    link = experiment.training.loss.link
    model = build_classifier(experiment.model, num_classes=2, seed=experiment.training.seed, link=link)
    return arrange(model, experiment.device)


def _images_for(experiment: Experiment, model: Classifier) -> ImageSource:
    return drawn_source(experiment, smallest_canvas_px=model.backbone.smallest_canvas_px)


def _measure(experiment: Experiment, seconds: float, fabric: Fabric) -> Speed:
    build = partial(_network, experiment)
    return measure_speed(
        build,
        _images_for(experiment, build()),
        experiment.training,
        augmentation=experiment.augmentation,
        fabric=fabric,
        seconds=seconds,
    )


def drawn_source(experiment: Experiment, *, smallest_canvas_px: int) -> ImageSource:
    """Return a few batches of noise, three quarters as high as wide, of the size that images are scaled to."""
    rng = generator_for(experiment.training.seed, "benchmark")
    width, channels = experiment.pixels.size_px, 1 if experiment.pixels.channels == "grey" else 3
    shape = (_BATCHES * experiment.batches.size, width * 3 // 4, width, channels)
    noise = rng.integers(0, 256, size=shape, dtype=np.uint8)
    return ImageSource(
        store=PixelStore.of_images([str(place) for place in range(len(noise))], list(noise)),
        rows=np.arange(len(noise)),
        labels=_drawn_labels(experiment, len(noise)),
        pixels=experiment.pixels,
        batches=experiment.batches,
        smallest_canvas_px=smallest_canvas_px,
    )


def _drawn_labels(experiment: Experiment, num_images: int) -> np.ndarray:
    """Return two classes in turn or, where images have several labels, two labels of which each has one in turn."""
    classes = np.arange(num_images) % 2
    return np.eye(2, dtype=np.float32)[classes] if experiment.training.loss.link == "sigmoid" else classes
