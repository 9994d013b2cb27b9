"""Padding changes nothing: lets a convolutional network see each image of a padded batch as if it stood alone.

In: a batch whose images lie in the top left corner of a common canvas, and their sizes. Out: the same features as on
any larger canvas. While ``ValidArea`` is active it follows the valid size of every image through each operation that
mixes positions, and makes that operation ignore what lies outside:

- a convolution reads zeros there, exactly as it reads its own zero padding beside an unpadded image;
- maximum pooling reads minus infinity, average pooling leaves these positions out of its mean;
- global pooling, and the means and norms inside channel attention, are taken over the valid positions;
- attention pooling (``pooling.attend``) leaves the other positions out of its softmax;
- batch statistics (a network in training mode) are taken over the valid positions.

Sides of a canvas must be multiples of 32 (``data.batches.CANVAS_STEP_PX``): networks with TensorFlow's "same" padding
then place their windows alike on every canvas. Operations that mix positions in other ways (self-attention, resizing)
are not followed; ``backbones`` measures whether a network really ignores padding, and native sizes are refused where
it does not.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function_unary

from radpath.models.pooling import attend


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Level:
    """What is known of all tensors of one spatial size: which positions of each image are valid."""

    heights: Int[Tensor, " batch"]
    widths: Int[Tensor, " batch"]
    top: int = 0
    left: int = 0
    pad_rows: int = 0
    pad_columns: int = 0

    def mask(self, height: int, width: int, device: torch.device) -> Bool[Tensor, "batch 1 height width"]:
        """Return True where a position belongs to its image."""
        rows = torch.arange(height) - self.top
        columns = torch.arange(width) - self.left
        valid_rows = (rows >= 0) & (rows < self.heights[:, None])
        valid_columns = (columns >= 0) & (columns < self.widths[:, None])
        return (valid_rows[:, None, :, None] & valid_columns[:, None, None, :]).to(device)


class ValidArea(TorchFunctionMode):
    """Context in which a network ignores everything outside the valid area of each image."""

    def __init__(self, canvas: Tensor, heights: Int[Tensor, " batch"], widths: Int[Tensor, " batch"]) -> None:
        """Begin at ``canvas`` (batch, channels, height, width), whose images have the given sizes in pixels."""
        super().__init__()
        self._batch = len(canvas)
        self._levels: dict[tuple[int, int], _Level] = {}
        self._padded: tuple[Tensor, _Level] | None = None
        self._masks: dict[tuple[int, int], Tensor] = {}
        self._levels[_spatial(canvas)] = _Level(heights=heights.cpu(), widths=widths.cpu())

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        """Hand each operation that mixes positions to its rule; let all others through."""
        kwargs = kwargs or {}
        rule = _RULES.get(func)
        if rule is None:
            return func(*args, **kwargs)
        return rule(self, func, *args, **kwargs)

    def level_of(self, tensor: Tensor) -> _Level | None:
        """Return the level of a tensor (batch, channels, height, width); None where it is not one of ours."""
        if self._padded is not None and tensor is self._padded[0]:
            return self._padded[1]
        if tensor.dim() != 4 or len(tensor) != self._batch:
            return None
        return self._levels.get(_spatial(tensor))

    def mask_of(self, tensor: Tensor, level: _Level) -> Bool[Tensor, "batch 1 height width"]:
        """Return the mask for a tensor; made once for each spatial size."""
        size = _spatial(tensor)
        if self._padded is not None and tensor is self._padded[0]:
            return level.mask(*size, tensor.device)
        if size not in self._masks:
            self._masks[size] = level.mask(*size, tensor.device)
        return self._masks[size]

    def filled(self, tensor: Tensor, level: _Level, value: float = 0.0) -> Tensor:
        """Return the tensor with ``value`` outside the valid area."""
        return _where(self.mask_of(tensor, level), tensor, value)

    def step(self, level: _Level, output: Tensor, window: "_Window") -> _Level:
        """Record and return the valid sizes after a sliding window, as it would find them on the image alone."""
        after = _Level(
            heights=window.count(level.heights, level.pad_rows, axis=0),
            widths=window.count(level.widths, level.pad_columns, axis=1),
        )
        known = self._levels.setdefault(_spatial(output), after)
        if not (torch.equal(known.heights, after.heights) and torch.equal(known.widths, after.widths)):
            raise UnfollowedPaddingError(f"two paths reach {_spatial(output)} positions with different valid sizes")
        return known

    def pad(self, padded: Tensor, level: _Level, amounts: tuple[int, int, int, int]) -> None:
        """Record explicit padding (left, right, top, bottom), which the next window uses up."""
        left, right, top, bottom = amounts
        if level.pad_rows + level.pad_columns > 0 or min(amounts) < 0:
            raise UnfollowedPaddingError("a layer pads what is padded already, or cuts its borders off")
        moved = dataclasses.replace(level, top=top, left=left, pad_rows=top + bottom, pad_columns=left + right)
        self._padded = (padded, moved)


def valid_sizes(tensor: Tensor) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]] | None:
    """Return the valid heights and widths of a feature map; None outside a ``ValidArea``, or where it knows none."""
    if not has_torch_function_unary(tensor):
        return None
    sizes: tuple[Tensor, Tensor] | None = handle_torch_function(valid_sizes, (tensor,), tensor)
    return sizes


class UnfollowedPaddingError(Exception):
    """A network mixes positions in a way that ``ValidArea`` cannot follow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Window:
    """A sliding window, as convolutions and poolings have it; each pair is (rows, columns)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    @property
    def mixes(self) -> bool:
        """True where an output reads another position than its own."""
        return self.kernel != (1, 1) or self.padding != (0, 0)

    def count(self, sizes: Int[Tensor, " batch"], explicit_padding: int, *, axis: int) -> Int[Tensor, " batch"]:
        """Return how many windows fit on images of these sizes; at least one."""
        stride, padding = self.stride[axis], 2 * self.padding[axis] + explicit_padding
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        if explicit_padding and explicit_padding == max(reach - stride, 0):
            return (sizes + stride - 1) // stride  # TensorFlow's "same": every position is the start of its stride
        room = sizes + padding - reach
        if not self.ceil_mode:
            return (room // stride + 1).clamp(min=1)
        windows = -(-room // stride) + 1
        begins_outside = (windows - 1) * stride >= sizes + self.padding[axis]  # PyTorch drops such a window
        return (windows - begins_outside.to(windows.dtype)).clamp(min=1)


def _spatial(tensor: Tensor) -> tuple[int, int]:
    return int(tensor.shape[-2]), int(tensor.shape[-1])


def _pair(value: int | list[int] | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (int(value[0]), int(value[-1]))


def _convolution(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    level = area.level_of(input)
    if level is None:
        return func(input, weight, bias, stride, padding, dilation, groups)
    if isinstance(padding, str):
        raise UnfollowedPaddingError(f"a convolution has padding='{padding}'")
    window = _Window(
        kernel=_pair(weight.shape[-2:]), stride=_pair(stride), padding=_pair(padding), dilation=_pair(dilation)
    )
    seen = area.filled(input, level) if window.mixes else input
    output = func(seen, weight, bias, stride, padding, dilation, groups)
    area.step(level, output, window)
    return output


def _maximum_pooling(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    **rest: Any,  # return_indices=False; True is another function of PyTorch, and not followed
) -> Tensor:
    level = area.level_of(input)
    arguments = (kernel_size, stride or kernel_size, padding, dilation)
    if level is None:
        return func(input, *arguments, ceil_mode=ceil_mode, **rest)
    window = _Window(
        kernel=_pair(kernel_size),
        stride=_pair(stride or kernel_size),
        padding=_pair(padding),
        dilation=_pair(dilation),
        ceil_mode=ceil_mode,
    )
    output = func(area.filled(input, level, -torch.inf), *arguments, ceil_mode=ceil_mode)
    # Outside, minus infinity would become NaN in the next multiplication.
    return area.filled(output, area.step(level, output, window))


def _average_pooling(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    stride = stride or kernel_size
    level = area.level_of(input)
    if level is None:
        return func(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    window = _Window(kernel=_pair(kernel_size), stride=_pair(stride), padding=_pair(padding), ceil_mode=ceil_mode)
    padded_before = level.pad_rows + level.pad_columns > 0  # such zeros count, whatever count_include_pad says
    pads = padded_before or window.padding != (0, 0)
    if divisor_override is not None or (pads and ceil_mode and count_include_pad):
        raise UnfollowedPaddingError("an average pooling has a divisor that depends on its padding")
    if padded_before and not count_include_pad:
        raise UnfollowedPaddingError("an average pooling leaves out its own padding but not that of a layer before it")
    total = func(area.filled(input, level), kernel_size, stride, padding, ceil_mode, True, 1)
    if pads and count_include_pad:
        output = total / (window.kernel[0] * window.kernel[1])
    else:
        inside = area.mask_of(input, level).to(input.dtype)
        output = total / func(inside, kernel_size, stride, padding, ceil_mode, True, 1).clamp(min=1)
    area.step(level, output, window)
    return output


def _global_pooling(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    output_size: Any,
    **rest: Any,  # as in _maximum_pooling
) -> Tensor:
    level = area.level_of(input)
    if level is None:
        return func(input, output_size, **rest)
    if _pair(output_size) != (1, 1):
        raise UnfollowedPaddingError(f"a pooling to {_pair(output_size)} positions depends on the canvas")
    if func is functional.adaptive_max_pool2d:
        return area.filled(input, level, -torch.inf).amax(dim=(2, 3), keepdim=True)
    return _masked_mean(input, area.mask_of(input, level), dims=(2, 3), keepdim=True)


def _reduction(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    **rest: Any,
) -> Tensor:
    """Mean or maximum over positions: (2, 3) where channels come first, (1, 2) where they come last."""
    places = _spatial_dims(area, input, dim)
    if places is None:
        arguments = {"keepdim": keepdim, **rest} if dim is not None else rest
        return func(input, *(() if dim is None else (dim,)), **arguments)
    mask = places.mask
    if func in (torch.mean, Tensor.mean):
        return _masked_mean(input, mask, dims=places.dims, keepdim=keepdim)
    return func(_where(mask, input, -torch.inf), dim, keepdim=keepdim, **rest)


def _norm(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    **rest: Any,
) -> Tensor:
    places = _spatial_dims(area, input, dim)
    seen = input if places is None else _where(places.mask, input, 0.0)
    return func(seen, p=p, dim=dim, keepdim=keepdim, **rest)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Places:
    """Over which dimensions an operation reduces positions, and which positions are valid."""

    dims: tuple[int, int]
    mask: Tensor


def _spatial_dims(area: ValidArea, tensor: Tensor, dim: Any) -> _Places | None:
    if not isinstance(dim, list | tuple) or tensor.dim() != 4 or len(dim) != 2:
        return None
    dims = tuple(sorted(d % 4 for d in dim))
    if dims == (2, 3):
        level = area.level_of(tensor)
        return None if level is None else _Places(dims=(2, 3), mask=area.mask_of(tensor, level))
    if dims == (1, 2):
        first = tensor.permute(0, 3, 1, 2)
        level = area.level_of(first)
        return None if level is None else _Places(dims=(1, 2), mask=area.mask_of(first, level).permute(0, 2, 3, 1))
    return None


def _where(mask: Tensor, tensor: Tensor, value: float) -> Tensor:
    """Return the tensor with ``value`` where the mask is False; unlike masked_fill it keeps "channels last"."""
    return torch.where(mask, tensor, torch.full((), value, dtype=tensor.dtype, device=tensor.device))


def _masked_mean(tensor: Tensor, mask: Tensor, *, dims: tuple[int, int], keepdim: bool) -> Tensor:
    total = _where(mask, tensor, 0.0).sum(dim=dims, keepdim=keepdim, dtype=_summing_dtype(tensor))
    return (total / mask.sum(dim=dims, keepdim=keepdim)).to(tensor.dtype)


def _summing_dtype(tensor: Tensor) -> torch.dtype:
    """Return a type whose sums over many positions are exact enough: float16 would overflow at 65504."""
    return torch.promote_types(tensor.dtype, torch.float32)


def _explicit_padding(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    pad: Any,
    mode: str = "constant",
    value: Any = None,
) -> Tensor:
    level = area.level_of(input)
    if level is None:
        return func(input, pad, mode, value)
    if mode != "constant":
        raise UnfollowedPaddingError(f"a layer pads with mode='{mode}'")
    if len(pad) != 4:
        raise UnfollowedPaddingError(f"a layer pads {len(pad) // 2} dimensions")
    padded = func(area.filled(input, level), pad, mode, value)
    area.pad(padded, level, tuple(pad))
    return padded


def _batch_norm(
    area: ValidArea,
    func: Callable[..., Tensor],
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    level = area.level_of(input)
    if level is None or not training:
        return func(input, running_mean, running_var, weight, bias, training, momentum, eps)
    seen = area.filled(input, level)  # also below, or the gradient of rubbish could be NaN
    mean, variance, count = _masked_moments(seen, area.mask_of(input, level))
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = variance * (count / (count - 1).clamp(min=1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    normal = (seen - mean[:, None, None]) * torch.rsqrt(variance + eps)[:, None, None]
    if weight is not None:
        normal = normal * weight[:, None, None]
    if bias is not None:
        normal = normal + bias[:, None, None]
    return normal.to(input.dtype)


def _masked_moments(
    filled: Float[Tensor, "batch channels height width"], mask: Bool[Tensor, "batch 1 height width"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and biased variance of each channel over the valid positions, and how many there are.

    Elsewhere ``filled`` is zero.
    """
    count = mask.sum()
    mean = filled.sum(dim=(0, 2, 3), dtype=_summing_dtype(filled)) / count
    spread = _where(mask, filled - mean[:, None, None], 0.0)
    return mean, spread.square().sum(dim=(0, 2, 3)) / count, count


def _attention(area: ValidArea, func: Callable[..., Tensor], features: Tensor, scores: Tensor) -> Tensor:
    level = area.level_of(features)
    if level is None:
        return func(features, scores)
    return func(area.filled(features, level), area.filled(scores, level, -torch.inf))


def _sizes(area: ValidArea, func: Callable[..., Any], tensor: Tensor) -> tuple[Tensor, Tensor] | None:  # noqa: ARG001 - a rule's signature
    level = area.level_of(tensor)
    return None if level is None else (level.heights, level.widths)


_RULES: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.conv2d: _convolution,  # also under the name torch.conv2d
    functional.max_pool2d: _maximum_pooling,
    torch.max_pool2d: _maximum_pooling,
    functional.avg_pool2d: _average_pooling,
    functional.adaptive_avg_pool2d: _global_pooling,
    functional.adaptive_max_pool2d: _global_pooling,
    torch.mean: _reduction,
    Tensor.mean: _reduction,
    torch.amax: _reduction,
    Tensor.amax: _reduction,
    torch.norm: _norm,
    Tensor.norm: _norm,
    functional.pad: _explicit_padding,
    functional.batch_norm: _batch_norm,
    attend: _attention,
    valid_sizes: _sizes,
}
