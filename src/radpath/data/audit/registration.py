"""Lays one tiny picture over another, and says how well their detail agrees once it lies there.

In: two batches of thumbnails, pair by pair. Out: for each pair the correlation of fine detail after the best flip,
quarter turn, and affine map. Different images of one kind (two heads, two hands) agree in outline and disagree in
detail; a copy agrees in both, also where it was cropped, turned a little, brightened or compressed again.

The affine map is found by Gauss-Newton steps on the difference of the pictures (Lucas and Kanade 1981; Baker and
Matthews 2004, the forward additive form), first on 16 x 16 pixels and then on 32 x 32, each blurred. Detail is a
difference of Gaussians, divided by its local standard deviation so that a few strong edges do not decide.
"""

import math
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

_STEPS: Final = ((16, 6), (32, 5))
"""Side in pixels and number of Gauss-Newton steps at that side."""
_STEP_BLUR_PX: Final = 1.0
_LARGEST_STEP: Final = 0.15  # of half a side; larger steps of a poor start fly off
_DAMPING: Final = 0.01  # of the mean curvature: directions that the picture says nothing about stay still
_ORIENTATION_BLUR_PX: Final = 1.5
_DETAIL_BLURS_PX: Final = (0.6, 1.2)  # the band between: coarser, and any two heads agree; finer, and JPEG decides
_LOCAL_BLUR_PX: Final = 2.5
_LOCAL_FLOOR: Final = 0.3  # of the whole picture's: below it there is noise, which must not be blown up to detail
_SCALES: Final = (0.69, 1.45)  # a copy was cropped to two thirds at most; stronger maps fit anything to anything
_SMALLEST_OVERLAP: Final = 0.5
_LEAST_OUTLINE: Final = 0.8  # correlation of the blurred pictures, which every copy exceeds once it lies right
_SMALLEST_WEIGHT: Final = 0.01  # where all images are alike, something must still count
_PAIRS_AT_ONCE: Final = 512
_TINY: Final = 1e-6

Pictures = Float[Tensor, "pairs side side"]


def detail_agreement(
    first: UInt8[np.ndarray, "pairs 32 32"],
    second: UInt8[np.ndarray, "pairs 32 32"],
    *,
    weight: Float[np.ndarray, "32 32"] | None = None,
) -> Float[np.ndarray, " pairs"]:
    """Return the correlation of detail in [-1, 1] of each pair.

    It is -1 where no allowed map lays one over the other, or where not even the outlines agree.

    A picture without detail (a constant image) agrees with nothing: 0.

    Args:
        first: the pictures that lie still.
        second: the pictures that are laid over them.
        weight: how much each place counts, as ``own_detail`` gives it; None where all count alike.

    >>> picture = np.random.default_rng(0).integers(0, 255, (1, 32, 32)).astype(np.uint8)
    >>> float(detail_agreement(picture, picture[:, ::-1]).round(2)[0])
    1.0
    """
    agreement = np.full(len(first), -1, dtype=np.float32)
    places = torch.ones(1, 32, 32) if weight is None else torch.from_numpy(weight)[None].float()
    with torch.inference_mode():
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            fixed, moving = _standardised(first[some]), _standardised(second[some])
            agreement[some] = _agreement_of_some(fixed, moving, places).numpy()
    return agreement


def own_detail(pictures: UInt8[np.ndarray, "images 32 32"]) -> Float[np.ndarray, "32 32"]:
    """Return, for each place, the share of detail that is an image's own and not the same in most of them, in (0, 1].

    The rim of an eye's photograph or the fan of an ultrasound says nothing of whether two images are one.
    """
    total, squares = torch.zeros(32, 32), torch.zeros(32, 32)
    with torch.inference_mode():
        for start in range(0, len(pictures), _PAIRS_AT_ONCE):
            detail = _detail(_standardised(pictures[start : start + _PAIRS_AT_ONCE]))
            total += detail.sum(0)
            squares += detail.square().sum(0)
    common, every = (total / len(pictures)).square(), squares / len(pictures)
    share: np.ndarray = ((every - common) / (every + _TINY)).clamp(_SMALLEST_WEIGHT, 1).numpy()
    return share


def _agreement_of_some(fixed: Pictures, moving: Pictures, weight: Float[Tensor, "1 32 32"]) -> Float[Tensor, " pairs"]:
    """Register coarsely; pairs whose outlines agree go on to fine registration and the comparison of detail."""
    agreement = torch.full((len(fixed),), -1.0)
    orientation = _best_orientation(fixed, moving)
    moving = torch.stack(_turned(moving))[orientation, torch.arange(len(fixed))]
    (coarse_px, coarse_steps), (fine_px, fine_steps) = _STEPS
    maps = torch.eye(2, 3).repeat(len(fixed), 1, 1)
    maps = _registered(fixed, moving, maps, side_px=coarse_px, num_steps=coarse_steps)
    outline, other = (_blurred(_resized(pictures, coarse_px), _STEP_BLUR_PX) for pictures in (fixed, moving))
    likely = (_correlation(outline, other, maps) > _LEAST_OUTLINE).nonzero().flatten()
    if len(likely):
        fixed, moving, maps = fixed[likely], moving[likely], maps[likely]
        maps = _registered(fixed, moving, maps, side_px=fine_px, num_steps=fine_steps)
        weights = weight, torch.cat(_turned(weight))[orientation[likely]]
        agreement[likely] = _correlation(_detail(fixed), _detail(moving), maps, weights)
    return agreement


def _standardised(pictures: UInt8[np.ndarray, "pairs 32 32"]) -> Pictures:
    numbers = torch.from_numpy(np.ascontiguousarray(pictures)).float()
    numbers = numbers - numbers.mean((1, 2), keepdim=True)
    return numbers / (numbers.square().mean((1, 2), keepdim=True).sqrt() + _TINY)


def _best_orientation(fixed: Pictures, moving: Pictures) -> Int[Tensor, " pairs"]:
    """Return which of the eight flips and quarter turns of each moving picture correlates best with the fixed one."""
    target, blurred = (_blurred(pictures, _ORIENTATION_BLUR_PX) for pictures in (fixed, moving))
    return torch.stack([(turned * target).sum((1, 2)) for turned in _turned(blurred)]).argmax(0)


def _turned(pictures: Pictures) -> list[Pictures]:
    quarters = [torch.rot90(pictures, number, (1, 2)) for number in range(4)]
    return [*quarters, *(turned.flip(2) for turned in quarters)]


def _registered(
    fixed: Pictures, moving: Pictures, maps: Float[Tensor, "pairs 2 3"], *, side_px: int, num_steps: int
) -> Float[Tensor, "pairs 2 3"]:
    """Improve the affine maps from the fixed picture's coordinates, -1 to 1, to the moving picture's."""
    target, source = (_blurred(_resized(pictures, side_px), _STEP_BLUR_PX) for pictures in (fixed, moving))
    slopes = [slope * (side_px / 2) for slope in torch.gradient(source, dim=(2, 1))]
    channels = torch.stack([source, *slopes], dim=1)
    for _ in range(num_steps):
        maps = maps + _gauss_newton_step(target, channels, maps)
    return maps


def _gauss_newton_step(
    target: Pictures, channels: Float[Tensor, "pairs 3 side side"], maps: Float[Tensor, "pairs 2 3"]
) -> Float[Tensor, "pairs 2 3"]:
    """Return by how much to change each map; brightness and contrast are made equal where the pictures overlap."""
    sampled, inside = _sampled(channels, maps)
    seen, seen_spread = _centred(sampled[:, 0], inside)
    wanted, wanted_spread = _centred(target, inside)
    error = ((wanted / wanted_spread - seen / seen_spread) * inside).flatten(1)
    along_x, along_y = (sampled[:, axis] / seen_spread * inside for axis in (1, 2))
    y, x = _coordinates(target.shape[1])
    jacobian = torch.stack([along_x * x, along_x * y, along_x, along_y * x, along_y * y, along_y], dim=1).flatten(2)
    curvature = jacobian @ jacobian.transpose(1, 2)
    damping = _DAMPING * curvature.diagonal(dim1=1, dim2=2).mean(1) + _TINY
    curvature = curvature + damping[:, None, None] * torch.eye(6)
    step: Tensor = torch.linalg.solve(curvature, jacobian @ error[:, :, None])
    return step.view(-1, 2, 3).clamp(-_LARGEST_STEP, _LARGEST_STEP)


def _correlation(
    fixed: Pictures,
    moving: Pictures,
    maps: Float[Tensor, "pairs 2 3"],
    weights: tuple[Tensor, Tensor] | None = None,
) -> Float[Tensor, " pairs"]:
    """Correlate where the pictures overlap; -1 where the map is no crop or turn of a copy."""
    of_moving = torch.ones_like(moving) if weights is None else weights[1]
    sampled, inside = _sampled(torch.stack([moving, of_moving], dim=1), maps)
    counts = inside * sampled[:, 1] * (1 if weights is None else weights[0])
    seen, seen_spread = _centred(sampled[:, 0], counts)
    wanted, wanted_spread = _centred(fixed, counts)
    total = counts.sum((1, 2)).clamp(min=_TINY)
    correlation = (seen * wanted * counts).sum((1, 2)) / (total * (seen_spread * wanted_spread)[:, 0, 0])
    scales = torch.linalg.svdvals(maps[:, :, :2])
    allowed = (scales[:, 0] < _SCALES[1]) & (scales[:, 1] > _SCALES[0]) & (inside.mean((1, 2)) > _SMALLEST_OVERLAP)
    return torch.where(allowed, correlation.clamp(-1, 1), torch.tensor(-1.0))


def _detail(pictures: Pictures) -> Pictures:
    fine, coarse = (_blurred(pictures, blur) for blur in _DETAIL_BLURS_PX)
    band = fine - coarse
    local = _blurred(band.square(), _LOCAL_BLUR_PX).sqrt()
    overall = band.square().mean((1, 2), keepdim=True).sqrt()
    return band / (local + _LOCAL_FLOOR * overall + _TINY)


def _centred(pictures: Pictures, counts: Pictures) -> tuple[Pictures, Float[Tensor, "pairs 1 1"]]:
    """Subtract the mean of what counts; also return the standard deviation of what counts."""
    total = counts.sum((1, 2), keepdim=True).clamp(min=_TINY)
    centred = pictures - (pictures * counts).sum((1, 2), keepdim=True) / total
    return centred, ((centred.square() * counts).sum((1, 2), keepdim=True) / total).sqrt() + _TINY


def _sampled(
    channels: Float[Tensor, "pairs channels side side"], maps: Float[Tensor, "pairs 2 3"]
) -> tuple[Float[Tensor, "pairs channels side side"], Pictures]:
    """Return the channels at the mapped coordinates (bilinear), and 1 where those are inside the picture."""
    grid = functional.affine_grid(maps, list(channels.shape), align_corners=False)
    inside = (grid.abs().amax(dim=3) <= 1).float()
    return functional.grid_sample(channels, grid, padding_mode="border", align_corners=False), inside


def _coordinates(side_px: int) -> tuple[Float[Tensor, "side side"], Float[Tensor, "side side"]]:
    """Return the y and x of pixel centres, with edges at -1 and 1."""
    line = (torch.arange(side_px) + 0.5) * (2 / side_px) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return y, x


def _resized(pictures: Pictures, side_px: int) -> Float[Tensor, "pairs {side_px} {side_px}"]:
    return functional.avg_pool2d(pictures, pictures.shape[1] // side_px)


def _blurred(pictures: Pictures, sigma_px: float) -> Pictures:
    """Return a Gaussian blur with the edges repeated, as two products with a small matrix."""
    matrix = _blur_matrix(pictures.shape[1], sigma_px)
    return matrix @ (pictures @ matrix.T)


@lru_cache(maxsize=16)
def _blur_matrix(side_px: int, sigma_px: float) -> Float[Tensor, "side side"]:
    """Return how much each pixel of a line gives to each; what lies beyond an end is added to the end."""
    reach = math.ceil(3 * sigma_px)
    weights = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * sigma_px**2))
    sources = (torch.arange(side_px)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, side_px - 1)
    matrix = torch.zeros(side_px, side_px)
    return matrix.scatter_add_(1, sources, (weights / weights.sum()).expand(side_px, -1))
