"""A checkpoint of others becomes a safetensors file with timm's names, and a report of every tensor.

In: a pickled checkpoint or a safetensors file, and the backbone it is for. Out: FILE.safetensors for
``model.weights_file``, and FILE.json, which says what each tensor was called.
"""

import dataclasses
from pathlib import Path
from typing import Final

import safetensors.torch

from radpath import files
from radpath.errors import SettingsError, WeightsError
from radpath.models.architectures import create_network, require_known
from radpath.models.pickled_weights import read_pickle
from radpath.models.weight_layouts import LAYOUTS, Reading, read_layout
from radpath.models.weights import CONVERTED_FROM, read_safetensors
from radpath.recipes.telling import say, say_path, say_rows

_SUFFIX: Final = ".safetensors"
_SHOWN: Final = 8


def convert_weights(source: Path, target: Path, *, backbone: str, layout: str, prefix: str | None) -> Reading:
    """Read a checkpoint, find out whose names it has, and write it with timm's.

    Args:
        source: a .pt, .pth or .ckpt file, or a .safetensors file.
        target: a .safetensors file that is not there yet.
        backbone: the network that the weights are for.
        layout: auto, or one of the layouts.
        prefix: what stands in front of the names that are wanted, for a file with more than one network; None to find
            it out.

    Raises:
        SettingsError: an argument is wrong.
        WeightsError: the file cannot be read, or does not fit the backbone exactly.
        StorageError: the folder cannot be written.
    """
    _check(source, target, layout)
    require_known(backbone)
    network, config = create_network(backbone, from_hub=False)
    with files.explained_storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        is_pickle = source.suffix != _SUFFIX
        tensors = read_pickle(source, scratch=target.parent) if is_pickle else read_safetensors(source)[0]
    classifier = str(config.get("classifier", "classifier"))
    reading = read_layout(tensors, network, classifier=classifier, origin=str(source), layout=layout, prefix=prefix)
    came_from = f"{source.name} (SHA-256 {files.sha256_file(source)})"
    with files.whole_file(target) as unfinished:
        wanted = {name: tensors[given] for name, given in reading.used.items()}
        safetensors.torch.save_file(wanted, unfinished, metadata={"format": "pt", CONVERTED_FROM: came_from})
    report = {"backbone": backbone, "converted_from": came_from, "sha256": files.sha256_file(target)}
    files.write_json(target.with_suffix(".json"), {**report, **dataclasses.asdict(reading)})
    _tell(reading, target, backbone)
    return reading


def _check(source: Path, target: Path, layout: str) -> None:
    if layout not in ("auto", *LAYOUTS):
        raise SettingsError(f"--layout is '{layout}'; it must be auto, {', '.join(LAYOUTS)}")
    if target.suffix != _SUFFIX:
        raise SettingsError(f"{target} must end in {_SUFFIX}, since that is what is written")
    if not source.is_file():
        raise WeightsError(f"there is no file {source}")
    if target.exists():
        raise SettingsError(f"there is a {target} already; choose another name, or delete it")


def _tell(reading: Reading, target: Path, backbone: str) -> None:
    left = ", ".join(reading.left_over[:_SHOWN]) + (", …" if len(reading.left_over) > _SHOWN else "")
    rows = [("used", f"{len(reading.used)} tensors, which are all of '{backbone}'")]
    rows += [("left over", f"{len(reading.left_over)} tensors: {left}")] if reading.left_over else []
    say_rows(f"Read as {reading.words}", rows)
    say("")
    say_path("Weights", target)
    say_path("Every tensor", target.with_suffix(".json"))
    say(f"Use them with --set model.backbone={backbone} --set model.weights=file --set model.weights_file={target}")
