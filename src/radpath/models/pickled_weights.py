"""Tensors out of a pickled checkpoint (.pt, .pth, .ckpt), which is a file that nobody should have to trust.

In: a checkpoint of PyTorch. Out: its tensors by name, nested tables joined with dots; everything else is left behind.
Only PyTorch's restricted reader (``weights_only=True``) ever opens it: it builds tensors, numbers, texts and
containers, and refuses whatever would call anything else. A reader that is restricted has had holes before, so it runs
in a process of its own, with limits on time, memory and what it may write, and only safetensors come back from it.
"""

import importlib.util
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import Tensor

from radpath.errors import WeightsError, first_line
from radpath.models.weights import read_safetensors

_LONGEST_S: Final = 600
_SPARE_BYTES: Final = 4 << 30  # PyTorch itself, beside copies of the tensors
_COPIES: Final = 4
_SPARE_FILE_BYTES: Final = 64 << 20  # names and alignment
_UNREADABLE: Final = (RuntimeError, EOFError, OSError, ValueError, LookupError, MemoryError)
"""What PyTorch raises for files that are damaged or too large."""


def read_pickle(path: Path, *, scratch: Path) -> dict[str, Tensor]:
    """Return the tensors of a pickled checkpoint, read in another process.

    Args:
        path: the checkpoint.
        scratch: a folder with room for its tensors, which are gone from there in the end.

    Raises:
        WeightsError: it is damaged, needs too much, holds no tensors, or holds what only running code could build.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".weights-") as folder:
        written = Path(folder) / "tensors.safetensors"
        command = [sys.executable, "-m", "radpath.models.pickled_weights", str(path), str(written)]
        try:
            reader = subprocess.run(  # noqa: S603 - our own module, and two paths
                command, capture_output=True, text=True, timeout=_LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise WeightsError(f"{path} could not be read in {_LONGEST_S} s; it is no usual checkpoint") from None
        if reader.returncode != 0:
            reason = (reader.stderr.strip().splitlines() or ["the process that read it was ended"])[-1]
            raise WeightsError(f"{path} cannot be converted: {reason}")
        return read_safetensors(written)[0]


def _extract(source: Path, target: Path) -> None:
    """Read a checkpoint with PyTorch's restricted reader, and write its tensors.

    Raises:
        WeightsError: with the reason alone.
    """
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
        tensors = {name: _own_copy(name, tensor) for name, tensor in _flattened(content)}
    except pickle.UnpicklingError as error:
        # PyTorch's own advice, to read the file without restrictions, is not repeated.
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = (
            f"'{named[1]}', which only running code could build" if named else "something that is no pickle of PyTorch"
        )
        raise WeightsError(f"it holds {what}; ask for its state dict, or better for safetensors") from None
    except _UNREADABLE as error:
        raise WeightsError(f"it is damaged, or too large ({type(error).__name__}: {first_line(error)})") from None
    if not tensors:
        raise WeightsError("it holds no tensors by name")
    safetensors.torch.save_file(tensors, target)


def _flattened(content: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401 - whatever a file holds
    """Yield the tensors of nested tables by their joined names.

    >>> [name for name, _ in _flattened({"epoch": 3, "state_dict": {"fc.bias": torch.zeros(2)}})]
    ['state_dict.fc.bias']
    """
    if isinstance(content, Tensor) and prefix:
        yield prefix.removesuffix("."), content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _flattened(value, f"{prefix}{name}.")


def _own_copy(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor with memory of its own, which safetensors wants.

    Raises:
        ValueError: it claims more numbers than the file holds, by repeating them, or holds no plain numbers.
    """
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise ValueError(f"{name} is a sparse or quantised tensor")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(f"{name} claims {tensor.numel():,} numbers, which are not in the file")
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _limit(source: Path) -> None:
    """Limit what this process may use to a few copies of the file; where the system has no such limits, do nothing."""
    if importlib.util.find_spec("resource") is None:
        return
    import resource

    size = source.stat().st_size
    for kind, most in (
        (resource.RLIMIT_CPU, _LONGEST_S),
        (resource.RLIMIT_DATA, _COPIES * size + _SPARE_BYTES),
        (resource.RLIMIT_FSIZE, 2 * size + _SPARE_FILE_BYTES),
    ):
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _main(source: Path, target: Path) -> int:
    """Extract in this process; return an exit code, with the reason on standard error."""
    _limit(source)
    try:
        _extract(source, target)
    except WeightsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), Path(sys.argv[2])))
