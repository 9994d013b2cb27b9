"""What is kept of a training: every epoch's weights, the best model, and the state for an exact resume.

In: tensors and the history. Out: safetensors files, each whole or absent. Everything random in an epoch is derived
from the seed and the epoch's number, and a schedule that waits for validation reads the history, so weights, their
average, optimiser, loss scale (of 16-bit floats) and history are the whole state.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, final

import safetensors
import safetensors.torch
import torch
from lightning_fabric.plugins import Precision
from torch import Tensor

from radpath import files
from radpath.errors import DataError, WeightsError
from radpath.models.classifier import Classifier, changing_tensors
from radpath.training.averaging import WeightAverage

_META = "radpath"


@final
@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """The ``checkpoints`` folder of a run."""

    folder: Path

    @property
    def best(self) -> Path:
        """The whole model of the best epoch, or of the one that was picked by hand."""
        return self.folder / "best.safetensors"

    @property
    def state(self) -> Path:
        """Everything that a resume needs, after the last finished epoch."""
        return self.folder / "state.safetensors"

    def epoch(self, number: int) -> Path:
        """What training changed in the model, after one epoch."""
        return self.folder / f"epoch-{number:04d}.safetensors"

    def save_state(
        self,
        model: Classifier,
        optimiser: torch.optim.Optimizer,
        average: WeightAverage,
        precision: Precision,
        *,
        history: list[dict[str, Any]],
    ) -> None:
        """Save what a resume needs."""
        tensors = {f"model.{name}": value for name, value in changing_tensors(model).items()}
        tensors |= {f"average.{name}": value for name, value in average.tensors.items()}
        for place, values in optimiser.state_dict()["state"].items():
            kept = {name: value for name, value in values.items() if value is not None}  # SGD without momentum
            tensors |= {f"optimiser.{place}.{name}": value for name, value in kept.items()}
        story = {"history": history, "averaged": average.count, "scale": precision.state_dict()}
        write_tensors(self.state, tensors, story)

    def load_state(
        self, model: Classifier, optimiser: torch.optim.Optimizer, average: WeightAverage, precision: Precision
    ) -> list[dict[str, Any]]:
        """Restore what ``save_state`` saved; return the history.

        Raises:
            DataError: the file is damaged, or belongs to another model.
        """
        tensors, story = read_tensors(self.state)
        own, averaged = (_below(tensors, prefix) for prefix in ("model.", "average."))
        if not _shapes(own) == _shapes(averaged) == _shapes(changing_tensors(model)):
            raise DataError(f"{self.state} belongs to another model; start again with another --out")
        model.load_state_dict(own, strict=False)
        average.tensors = {name: value.to(average.tensors[name].device) for name, value in averaged.items()}
        average.count = story["averaged"]
        if story["scale"]:  # none where the run computed in 32 bits until now
            precision.load_state_dict(story["scale"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "optimiser.").items():
            place, field = name.split(".")
            state.setdefault(int(place), {})[field] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        history: list[dict[str, Any]] = story["history"]
        return history


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in tensors.items()}


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def write_tensors(path: Path, tensors: dict[str, Tensor], story: dict[str, Any]) -> None:
    """Write tensors and plain values to one safetensors file, whole or not at all."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = safetensors.torch.save(plain, metadata={_META: json.dumps(story, allow_nan=False)})
    files.write_bytes(path, content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``write_tensors`` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            story = json.loads((opened.metadata() or {})[_META])
            return {name: opened.get_tensor(name) for name in opened.keys()}, story  # noqa: SIM118 - not a dict
    except FileNotFoundError:
        raise DataError(f"{path} is missing; the training did not finish an epoch") from None
    except (safetensors.SafetensorError, KeyError, ValueError, OSError) as error:
        raise DataError(f"{path} is damaged: {error}") from None


def load_best(model: Classifier, path: Path) -> dict[str, Any]:
    """Fill a classifier with a saved one, strictly; return what was saved beside it.

    Raises:
        DataError: the file is missing or damaged.
        WeightsError: it is another model's.
    """
    tensors, story = read_tensors(path)
    _fill(model, tensors, path)
    return story


def load_epoch(model: Classifier, path: Path) -> dict[str, Any]:
    """Fill a classifier with what training had changed in it after one epoch; return what was saved beside it.

    What is frozen stays as it is, and must be what the run began with.

    Raises:
        DataError: the file is missing or damaged.
        WeightsError: it is another model's.
    """
    tensors, story = read_tensors(path)
    _fill(model, {**model.state_dict(), **tensors}, path)
    return story


def _fill(model: Classifier, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{path} does not fit the model of experiment.toml: {reason}") from None
