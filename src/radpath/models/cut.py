"""Runs a backbone in two parts: up to the point behind which something learns, and on from there.

In: a backbone and the names of the modules that never change. Out: the activations at the cut, which can be kept, and
the features that the rest makes of them, equal to those of the whole network. No network is taken apart: it runs as it
is written, with the modules in front of the cut replaced for a moment. They hand on values that are not numbers, so
that whatever reached the features past the cut would spoil them; ``problem`` tries it.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from radpath.errors import first_line
from radpath.models.backbones import Backbone
from radpath.models.valid_area import ValidArea, valid_sizes

_TOLERANCE: Final = 1e-5  # relative, in 32-bit floats
_PROBED_PX: Final = 96  # a canvas on which deep stages still have more than one position


class Activations(NamedTuple):
    """What a network has computed of a batch, at one point."""

    values: Float[Tensor, "batch ..."]
    """A map (batch, channels, height, width), tokens (batch, tokens, channels) or vectors (batch, features)."""
    heights: Int[Tensor, " batch"]
    """How many rows of the map belong to each image; what lies behind them is padding. 1 where there is no map."""
    widths: Int[Tensor, " batch"]
    """As ``heights``, for columns."""


@final
class _ReachedError(Exception):
    """Not a failure: the cut is reached, and the rest of the network has nothing to do."""

    def __init__(self, activations: Activations) -> None:
        super().__init__()
        self.activations = activations


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Call:
    """One module's turn while a network runs."""

    name: str
    shape: tuple[int, ...]
    """Of its output for one image on the smallest canvas, without the batch."""


@final
class Cut:
    """The place in a backbone behind the last of the modules that come before anything that learns."""

    def __init__(self, backbone: Backbone, pieces: Sequence[str], *, fixed: Callable[[str], bool]) -> None:
        """Find the place.

        Args:
            backbone: runs once, on an empty canvas.
            pieces: names of modules of its network that together are all of it.
            fixed: tells of a piece whether it never learns.
        """
        self._backbone = backbone
        calls = _calls(backbone, pieces)
        learning = next((place for place, call in enumerate(calls) if not fixed(call.name)), len(calls))
        self._before = calls[:learning]
        self._once = len({call.name for call in calls}) == len(calls)

    def problem(self) -> str | None:
        """Measure whether both parts give what the whole gives; return the reason why not, None where they do."""
        if not self._before:
            return "something learns in its first modules already"
        if not self._once:
            return "it runs a module more than once"
        images, heights_px, widths_px = _probe(self._backbone)
        try:
            with _evaluating(self._backbone):
                whole = self._backbone.as_written(images, heights_px, widths_px)
                parts = self.onwards(self.until(images, heights_px, widths_px))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            return f"its parts do not run apart ({first_line(error)})"
        difference = float((parts - whole).abs().max() / whole.abs().max().clamp(min=1e-12))
        if not difference <= _TOLERANCE:  # also where it is not a number
            return "what its first modules compute reaches the features in more than one way"
        return None

    def until(self, images: Tensor, heights_px: Tensor, widths_px: Tensor) -> Activations:
        """Return the activations at the cut, of images as the backbone takes them."""

        def stop(_module: nn.Module, _inputs: object, output: Tensor) -> NoReturn:
            raise _ReachedError(_with_sizes(output))

        last = self._backbone.network.get_submodule(self._before[-1].name)
        handle = last.register_forward_hook(stop)
        try:
            self._backbone.as_written(images, heights_px, widths_px)
        except _ReachedError as reached:
            return reached.activations
        finally:
            handle.remove()
        raise RuntimeError(f"the network has not run its module '{self._before[-1].name}'")

    def onwards(self, activations: Activations) -> Tensor:
        """Return the features that the rest of the network makes of activations."""
        values = activations.values
        if values.dim() == 4:
            values = values.contiguous(memory_format=self._backbone.memory_format)
        with contextlib.ExitStack() as followed:

            def enter(*_inputs: object, **_options: object) -> Tensor:
                if not _covers(activations):
                    followed.enter_context(ValidArea(values, activations.heights, activations.widths))
                return values

            forwards = {call.name: _nothing(call.shape, values) for call in self._before[:-1]}
            with _replaced(self._backbone.network, {**forwards, self._before[-1].name: enter}):
                return self._run_on_nothing(values)

    def _run_on_nothing(self, like: Tensor) -> Tensor:
        """Run the backbone on images that are not numbers, which the replaced modules never read."""
        side = _smallest_side(self._backbone)
        sizes = torch.full((len(like),), side)
        features: Tensor = self._backbone.as_written(
            _nothing((self._backbone.in_channels, side, side), like)(), sizes, sizes
        )
        return features


def _calls(backbone: Backbone, pieces: Sequence[str]) -> list[_Call]:
    """Return the turns of the pieces in the order in which they run."""
    calls: list[_Call] = []

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
            calls.append(_Call(name=name, shape=shape))

        return hook

    handles = [backbone.network.get_submodule(name).register_forward_hook(note(name)) for name in pieces]
    example = next(backbone.network.parameters())
    side = _smallest_side(backbone)
    with _evaluating(backbone):
        backbone.as_written(
            example.new_zeros(1, backbone.in_channels, side, side), torch.tensor([side]), torch.tensor([side])
        )
    for handle in handles:
        handle.remove()
    return calls


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Run without gradients and without moving statistics, and leave each part in the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextlib.contextmanager
def _replaced(network: nn.Module, forwards: Mapping[str, Callable[..., Tensor]]) -> Iterator[None]:
    """Let some modules of a network do something else for a while."""
    owned = [vars(network.get_submodule(name)) for name in forwards]
    for attributes, forward in zip(owned, forwards.values(), strict=True):
        attributes["forward"] = forward  # an instance's own comes before its class's
    try:
        yield
    finally:
        for attributes in owned:
            del attributes["forward"]


def _nothing(shape: tuple[int, ...], like: Tensor) -> Callable[..., Tensor]:
    """Return a function that takes anything and gives a tensor without numbers, which takes no memory."""

    def give(*_inputs: object, **_options: object) -> Tensor:
        return torch.full((), math.nan, dtype=like.dtype, device=like.device).expand(len(like), *shape)

    return give


def _with_sizes(values: Tensor) -> Activations:
    """Return activations with the valid sizes that a running ``ValidArea`` knows, or else the whole map."""
    known = valid_sizes(values)
    if known is not None:
        return Activations(values, *known)
    height, width = (values.shape[2], values.shape[3]) if values.dim() == 4 else (1, 1)
    return Activations(values, torch.full((len(values),), height), torch.full((len(values),), width))


def _covers(activations: Activations) -> bool:
    """Return True where no image of the batch has padding."""
    if activations.values.dim() != 4:
        return True
    height, width = activations.values.shape[2:]
    return bool((activations.heights == height).all()) and bool((activations.widths == width).all())


def _smallest_side(backbone: Backbone) -> int:
    return backbone.required_size_px or backbone.smallest_canvas_px


def _probe(backbone: Backbone) -> tuple[Tensor, Tensor, Tensor]:
    """Return two images, one of them padded where the backbone follows padding."""
    side = backbone.required_size_px or max(backbone.smallest_canvas_px, _PROBED_PX)
    example = next(backbone.network.parameters())
    images = torch.rand(2, backbone.in_channels, side, side, generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([side, side if backbone.required_size_px else side - side // 3])
    return images.to(example), sizes, torch.full((2,), side)
