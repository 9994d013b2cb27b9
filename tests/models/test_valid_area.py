"""Each operation on a padded batch against the same operation on each image alone; the padding holds NaN."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from radpath.models.valid_area import UnfollowedPaddingError, ValidArea

Operation = Callable[[Tensor], Tensor]
Size = tuple[int, int]

CANVAS: Size = (23, 19)
few = settings(max_examples=30, deadline=None)
sizes_px = st.tuples(st.integers(1, CANVAS[0]), st.integers(1, CANVAS[1]))
several_sizes = st.lists(sizes_px, min_size=1, max_size=3)


def draw_images(sizes: Sequence[Size], *, channels: int = 2, seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(1, channels, h, w, generator=random, dtype=torch.float64) for h, w in sizes]


def padded(images: Sequence[Tensor], canvas: Size = CANVAS, rubbish: float = torch.nan) -> Tensor:
    whole = torch.full((len(images), images[0].shape[1], *canvas), rubbish, dtype=images[0].dtype)
    for place, image in enumerate(images):
        whole[place, :, : image.shape[2], : image.shape[3]] = image[0]
    return whole


def run_padded(operation: Operation, images: Sequence[Tensor], canvas: Size = CANVAS) -> Tensor:
    heights, widths = (torch.tensor([image.shape[side] for image in images]) for side in (2, 3))
    whole = padded(images, canvas)
    with ValidArea(whole, heights, widths):
        return operation(whole)


def require_same_as_alone(operation: Operation, images: Sequence[Tensor], canvas: Size = CANVAS) -> None:
    """The valid part of each output is what the operation gives for the image alone."""
    together = run_padded(operation, images, canvas)
    for place, image in enumerate(images):
        alone = operation(image)
        valid = together[place, :, : alone.shape[2], : alone.shape[3]] if alone.dim() == 4 else together[place]
        torch.testing.assert_close(valid, alone[0], rtol=1e-9, atol=1e-12)


def then(first: Operation, second: Operation) -> Operation:
    return lambda images: second(first(images))


def mean_of_positions(images: Tensor) -> Tensor:
    return images.mean((2, 3))


@few
@given(
    sizes=several_sizes,
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 3),
)
def test_a_convolution_sees_each_image_as_if_it_stood_alone(
    sizes: list[Size], kernel: Size, stride: int, dilation: int, padding: int
) -> None:
    reach = [dilation * (side - 1) + 1 for side in kernel]
    assume(all(h + 2 * padding >= reach[0] and w + 2 * padding >= reach[1] for h, w in sizes))
    random = torch.Generator().manual_seed(1)
    weight = torch.randn(4, 1, *kernel, generator=random, dtype=torch.float64)
    bias = torch.randn(4, generator=random, dtype=torch.float64)

    def convolve(images: Tensor) -> Tensor:
        return functional.conv2d(images, weight, bias, stride, padding, dilation, groups=2)

    images = draw_images(sizes)
    require_same_as_alone(convolve, images)
    require_same_as_alone(then(convolve, mean_of_positions), images)  # the number of valid outputs, too


@few
@given(
    sizes=several_sizes,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    edge=st.sampled_from(["floor", "ceil"]),
)
def test_a_maximum_pooling_sees_each_image_as_if_it_stood_alone(
    sizes: list[Size], kernel: int, stride: int, padding: int, edge: str
) -> None:
    assume(padding <= kernel // 2)
    assume(all(min(size) + 2 * padding >= kernel for size in sizes))
    images = draw_images(sizes)
    for function in (functional.max_pool2d, torch.max_pool2d):

        def pool(given: Tensor, function: Callable[..., Tensor] = function) -> Tensor:
            return function(given, kernel, stride, padding, 1, edge == "ceil")

        require_same_as_alone(pool, images)
        require_same_as_alone(then(pool, mean_of_positions), images)


@few
@given(
    sizes=several_sizes,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    edge=st.sampled_from(["floor", "ceil"]),
    divisor=st.sampled_from(["whole window", "inside"]),
)
def test_an_average_pooling_sees_each_image_as_if_it_stood_alone(
    sizes: list[Size], kernel: int, stride: int, padding: int, edge: str, divisor: str
) -> None:
    ceil_mode, count_include_pad = edge == "ceil", divisor == "whole window"
    assume(padding <= kernel // 2 and not (padding and ceil_mode and count_include_pad))
    assume(all(min(size) + 2 * padding >= kernel for size in sizes))

    def pool(images: Tensor) -> Tensor:
        return functional.avg_pool2d(images, kernel, stride, padding, ceil_mode, count_include_pad)

    images = draw_images(sizes)
    require_same_as_alone(pool, images)
    require_same_as_alone(then(pool, mean_of_positions), images)


def pad_same(images: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """TensorFlow's "same" padding: what is odd goes to the right and to the bottom."""
    rows, columns = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in images.shape[2:])
    return functional.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2), value=value)


WINDOWS_AFTER_PADDING: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "convolution": lambda images, kernel, stride: functional.conv2d(
        pad_same(images, kernel, stride), torch.ones(1, 2, kernel, kernel, dtype=images.dtype), stride=stride
    ),
    "maximum": lambda images, kernel, stride: functional.max_pool2d(
        pad_same(images, kernel, stride, -torch.inf), kernel, stride
    ),
    "average": lambda images, kernel, stride: functional.avg_pool2d(pad_same(images, kernel, stride), kernel, stride),
}


@pytest.mark.parametrize("window", WINDOWS_AFTER_PADDING)
@few
@given(
    strides=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=3),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 2),
)
def test_padding_as_in_tensorflow_gives_what_the_image_alone_gives_where_strides_divide_its_sides(
    window: str, strides: list[Size], kernel: int, stride: int
) -> None:
    def slide(images: Tensor) -> Tensor:
        return WINDOWS_AFTER_PADDING[window](images, kernel, stride)

    images = draw_images([(4 * rows, 4 * columns) for rows, columns in strides])
    require_same_as_alone(slide, images, canvas=(24, 20))
    require_same_as_alone(then(slide, mean_of_positions), images, canvas=(24, 20))


@few
@given(
    sizes=several_sizes,
    amounts=st.tuples(*[st.integers(0, 3)] * 4),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
)
def test_a_padding_layer_and_a_convolution_see_each_image_as_if_it_stood_alone(
    sizes: list[Size], amounts: tuple[int, int, int, int], kernel: int, stride: int
) -> None:
    left, right, top, bottom = amounts
    assume(kernel - stride not in (left + right, top + bottom))  # TensorFlow's rule, tested above
    assume(all(h + top + bottom >= kernel and w + left + right >= kernel for h, w in sizes))
    weight = torch.randn(3, 2, kernel, kernel, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def pad_and_convolve(images: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(images, amounts), weight, stride=stride)

    images = draw_images(sizes)
    require_same_as_alone(pad_and_convolve, images)
    require_same_as_alone(then(pad_and_convolve, mean_of_positions), images)


def channels_last(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1)


REDUCTIONS: dict[str, Operation] = {
    "adaptive average": lambda images: functional.adaptive_avg_pool2d(images, 1),
    "adaptive average of a layer": nn.AdaptiveAvgPool2d((1, 1)),
    "adaptive maximum": lambda images: functional.adaptive_max_pool2d(images, 1),
    "adaptive maximum of a layer": nn.AdaptiveMaxPool2d(1),
    "mean": lambda images: images.mean((2, 3)),
    "mean, sides kept": lambda images: images.mean(dim=[2, 3], keepdim=True),
    "mean, negative": lambda images: torch.mean(images, dim=(-1, -2)),
    "mean, channels last": lambda images: channels_last(images).mean(dim=(1, 2)),
    "maximum": lambda images: images.amax(dim=(2, 3)),
    "maximum, function": lambda images: torch.amax(images, (2, 3), keepdim=True),
    "maximum, channels last": lambda images: channels_last(images).amax((1, 2)),
    "norm": lambda images: images.norm(p=2, dim=(2, 3), keepdim=True),
    "norm, function": lambda images: torch.norm(images, p=2, dim=(2, 3)),
    "norm, channels last": lambda images: channels_last(images).norm(p=2, dim=(1, 2)),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@settings(max_examples=10, deadline=None)
@given(sizes=several_sizes)
def test_a_reduction_over_positions_takes_the_valid_ones(reduction: str, sizes: list[Size]) -> None:
    require_same_as_alone(REDUCTIONS[reduction], draw_images(sizes))


STRANGERS: dict[str, Operation] = {
    **REDUCTIONS,
    "convolution": lambda images: functional.conv2d(images, torch.ones(1, 2, 3, 3, dtype=images.dtype), None, 2, 1),
    "convolution, padding in a word": lambda images: functional.conv2d(
        images, torch.ones(1, 2, 3, 3, dtype=images.dtype), padding="same"
    ),
    "maximum pooling": lambda images: functional.max_pool2d(images, 3, 2, 1, ceil_mode=True),
    "maximum pooling, torch's own": lambda images: torch.max_pool2d(images, 3),
    "maximum pooling with places": lambda images: functional.max_pool2d(images, 3, return_indices=True)[1],
    "average pooling": lambda images: functional.avg_pool2d(images, 3, 2, 1, True, False),
    "adaptive pooling to 2": lambda images: functional.adaptive_avg_pool2d(images, 2),
    "padding": lambda images: functional.pad(images, (1, 2, 0, 1), mode="replicate"),
    "batch norm": lambda images: functional.batch_norm(images, None, None, training=True),
    "mean of all": lambda images: images.mean(),
    "mean over channels": lambda images: images.mean(1, keepdim=True),
    "mean over one side": lambda images: images.mean(dim=3),
    "mean in another type": lambda images: images.mean((1, 3), dtype=torch.float32),
    "maximum of all": lambda images: images.amax(),
    "norm of all": lambda images: images.norm(),
}


@pytest.mark.parametrize("operation", STRANGERS)
@pytest.mark.parametrize("shape", [(1, 2, 6, 5), (2, 2, 5, 6)], ids=["another batch", "another size"])
def test_tensors_that_are_no_images_of_the_batch_are_left_alone(operation: str, shape: tuple[int, ...]) -> None:
    stranger = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = STRANGERS[operation](stranger)
    with ValidArea(torch.zeros(2, 2, 6, 5), torch.tensor([3, 4]), torch.tensor([2, 5])):
        assert torch.equal(STRANGERS[operation](stranger), expected)


def test_a_reduction_over_other_dimensions_of_an_image_is_left_alone() -> None:
    images = torch.randn(2, 3, 6, 5)
    with ValidArea(images, torch.tensor([3, 4]), torch.tensor([2, 5])):
        assert torch.equal(images.mean(1), images.mean(dim=1))
        assert torch.equal(images.mean((1, 3)), images.sum((1, 3)) / 15)
        assert images.norm(p=2, dim=1).shape == (2, 6, 5)


REFUSED: dict[str, tuple[Operation, str]] = {
    "padding in a word": (
        lambda images: functional.conv2d(images, torch.ones(1, 2, 3, 3, dtype=images.dtype), padding="same"),
        r"^a convolution has padding='same'$",
    ),
    "mirrored padding": (
        lambda images: functional.pad(images, (1, 1, 1, 1), mode="reflect"),
        r"^a layer pads with mode='reflect'$",
    ),
    "padding of channels": (
        lambda images: functional.pad(images, (0, 0, 0, 0, 0, 1)),
        r"^a layer pads 3 dimensions$",
    ),
    "padding twice": (
        lambda images: functional.pad(functional.pad(images, (1, 1, 1, 1)), (1, 1, 1, 1)),
        r"^a layer pads what is padded already",
    ),
    "cropping": (lambda images: functional.pad(images, (-1, 0, 0, 0)), r"or cuts its borders off$"),
    "pooling to a grid": (
        lambda images: functional.adaptive_avg_pool2d(images, (2, 2)),
        r"^a pooling to \(2, 2\) positions depends on the canvas$",
    ),
    "an own divisor": (
        lambda images: functional.avg_pool2d(images, 2, divisor_override=3),
        r"divisor that depends on its padding$",
    ),
    "counted padding and part windows": (
        lambda images: functional.avg_pool2d(images, 3, 2, 1, ceil_mode=True, count_include_pad=True),
        r"divisor that depends on its padding$",
    ),
    "an average that counts one padding and not the other": (
        lambda images: functional.avg_pool2d(functional.pad(images, (0, 1, 0, 1)), 2, count_include_pad=False),
        r"^an average pooling leaves out its own padding",
    ),
    "two paths of unequal length": (
        lambda images: functional.max_pool2d(images, 2, 2, 0) + functional.max_pool2d(images, 2, 2, 0, ceil_mode=True),
        r"^two paths reach \(10, 10\) positions with different valid sizes$",
    ),
}


@pytest.mark.parametrize("operation", REFUSED)
def test_what_cannot_be_followed_is_refused_with_the_reason(operation: str) -> None:
    run, message = REFUSED[operation]
    with pytest.raises(UnfollowedPaddingError, match=message):
        run_padded(run, draw_images([(15, 20), (20, 7)]), canvas=(20, 20))


@pytest.mark.parametrize("size", [(7, 9), (1, 19), (23, 19)])
def test_batch_statistics_equal_those_of_the_image_alone(size: Size) -> None:
    image = draw_images([size])[0].requires_grad_()
    in_padding, alone = (wild_batch_norm() for _ in range(2))
    whole = padded([image])
    with ValidArea(whole, torch.tensor([size[0]]), torch.tensor([size[1]])):
        normal = in_padding(whole)[:, :, : size[0], : size[1]]
    expected = alone(image)
    torch.testing.assert_close(normal, expected, rtol=1e-9, atol=1e-12)
    for name, buffer in alone.named_buffers():
        # PyTorch rounds the momentum to single precision.
        torch.testing.assert_close(in_padding.get_buffer(name), buffer, rtol=1e-7, atol=0)
    arrows = torch.randn(expected.shape, dtype=torch.float64)
    slopes = [torch.autograd.grad((output * arrows).sum(), image)[0] for output in (normal, expected)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-7, atol=1e-9)


def wild_batch_norm() -> nn.BatchNorm2d:
    random = torch.Generator().manual_seed(4)
    layer = nn.BatchNorm2d(2, momentum=0.3, dtype=torch.float64)
    with torch.no_grad():
        for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            assert tensor is not None
            tensor.copy_(torch.rand(tensor.shape, generator=random, dtype=torch.float64) + 0.5)
    return layer


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(sizes_px, min_size=2, max_size=4))
def test_batch_statistics_of_several_images_are_those_of_all_their_positions(sizes: list[Size]) -> None:
    images = draw_images(sizes)
    in_padding, alone = (wild_batch_norm() for _ in range(2))
    together = run_padded(in_padding, images)
    positions = torch.cat([image.flatten(2) for image in images], dim=2)[..., None]  # one long image
    expected = alone(positions)[0, :, :, 0].split([h * w for h, w in sizes], dim=1)
    for place, ((height, width), part) in enumerate(zip(sizes, expected, strict=True)):
        torch.testing.assert_close(together[place, :, :height, :width].flatten(1), part, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(in_padding.running_var, alone.running_var, rtol=1e-7, atol=0)


def test_batch_norm_without_gains_or_running_statistics_works_too() -> None:
    images = draw_images([(5, 6)])
    require_same_as_alone(lambda given: functional.batch_norm(given, None, None, training=True), images)


def test_batch_norm_in_evaluation_uses_its_running_statistics() -> None:
    layer = wild_batch_norm().eval()
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    require_same_as_alone(layer, draw_images([(5, 6), (9, 2)]))
    assert all(torch.equal(before[name], buffer) for name, buffer in layer.named_buffers())


def test_sums_over_many_positions_do_not_overflow_in_half_precision() -> None:
    images = torch.full((1, 2, 128, 128), 8.0, dtype=torch.float16)
    with ValidArea(images, torch.tensor([120]), torch.tensor([128])):
        mean = images.mean((2, 3))
        normal = functional.batch_norm(images, None, None, training=True)
    assert mean.dtype == normal.dtype == torch.float16
    assert mean.tolist() == [[8.0, 8.0]]
    assert bool((normal[:, :, :120] == 0).all())


def small_network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(4, 4, 1),  # whose weights get a gradient from every position
            nn.Conv2d(4, 5, 5, padding=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ).double()


@few
@given(size=st.tuples(st.integers(3, 20), st.integers(3, 20)), canvas=st.tuples(st.integers(0, 15), st.integers(0, 15)))
def test_gradients_are_those_of_the_image_alone_and_nothing_flows_into_the_padding(size: Size, canvas: Size) -> None:
    image = draw_images([size])[0]
    whole = padded([image], (size[0] + canvas[0], size[1] + canvas[1]), rubbish=3.0).requires_grad_()
    network, alone = small_network(), small_network()
    with ValidArea(whole, torch.tensor([size[0]]), torch.tensor([size[1]])):
        network(whole).square().sum().backward()
    image.requires_grad_()
    alone(image).square().sum().backward()
    assert whole.grad is not None
    assert image.grad is not None
    torch.testing.assert_close(whole.grad[:, :, : size[0], : size[1]], image.grad, rtol=1e-7, atol=1e-10)
    whole.grad[:, :, : size[0], : size[1]] = 0
    assert not whole.grad.any()
    for one, other in zip(network.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-7, atol=1e-10)


def test_masking_keeps_the_channels_last_in_memory() -> None:
    images = torch.randn(2, 8, 16, 16).to(memory_format=torch.channels_last)
    with ValidArea(images, torch.tensor([9, 16]), torch.tensor([16, 3])):
        seen: Any = functional.max_pool2d(images, 3, 1, 1)
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_outside_the_context_nothing_is_followed() -> None:
    images = torch.ones(1, 1, 4, 4)
    with ValidArea(images, torch.tensor([2]), torch.tensor([2])):
        images[0, 0, 3, 3] = 5
        assert float(images.mean((2, 3))) == 1
    assert float(images.mean((2, 3))) == 1.25
