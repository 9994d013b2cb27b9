"""Class activation maps: which positions of a feature map speak for a class.

In: activations A and gradients g of a class's score at one layer. Out: one number a cell, then a pixel.

- Grad-CAM: Selvaraju et al. 2017, equations 1 and 2. Each channel weighs as much as its mean gradient; what speaks
  against the class is cut off.
- Grad-CAM++: Chattopadhay et al. 2018, equations 5 and 19, with the score's exponential left out, which is one factor
  for a whole map. Positions with a negative gradient weigh nothing there, so their shares are not computed; and of maps
  that do not end in a ReLU, as the paper's do, the positive part is summed, or shares would have poles.
- HiResCAM: Draelos and Carin 2020, equation 4. Gradients weigh each position by itself, so that with one linear layer
  behind the mean the map sums to the score; it has negative parts.

captum has the first of the three. All share one look at a layer here, which needs no extra, no graph of the layers in
front (captum's goes back to the pixels where weights are frozen), and leaves padding out; a test compares the first
with captum's.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from radpath.explanation.layers import LayerView, MapLayer, view_layer
from radpath.explanation.looking import Looked
from radpath.models.classifier import Classifier

Cells = Float[Tensor, "rows columns"]


def grad_cam(view: LayerView) -> Cells:
    """Return Grad-CAM's map."""
    weights = view.gradients.mean(dim=(1, 2), keepdim=True)
    return (weights * view.activations).sum(dim=0).relu()


def grad_cam_pp(view: LayerView) -> Cells:
    """Return Grad-CAM++'s map; a channel without positive gradients weighs nothing."""
    gradients, activations = view.gradients.relu(), view.activations
    total = activations.relu().sum(dim=(1, 2), keepdim=True)
    below = 2 * gradients**2 + total * gradients**3
    shares = gradients**2 / below.where(below > 0, 1)
    weights = (shares * gradients).sum(dim=(1, 2), keepdim=True)
    return (weights * activations).sum(dim=0).relu()


def hires_cam(view: LayerView) -> Cells:
    """Return HiResCAM's map."""
    return (view.gradients * view.activations).sum(dim=0)


CAMS: Final[dict[str, Callable[[LayerView], Cells]]] = {
    "grad_cam": grad_cam,
    "grad_cam_pp": grad_cam_pp,
    "hires_cam": hires_cam,
}
"""Each method that needs one feature map."""


def activation_map(
    model: Classifier, looked: Looked, column: int, *, layer: MapLayer, cells_of: Callable[[LayerView], Cells]
) -> Float32[np.ndarray, "height width"]:
    """Return one of ``CAMS`` at the size of the image."""
    view = view_layer(model, looked, column, layer)
    return spread(cells_of(view), looked, rows_px=view.rows_px, columns_px=view.columns_px)


def spread(cells: Cells, looked: Looked, *, rows_px: float, columns_px: float) -> Float32[np.ndarray, "height width"]:
    """Return a map of cells at the size of the image, each cell where it belongs, with linear steps between centres.

    The last cells may reach beyond the image: what lies there is cut off, not pressed into it.
    """
    height = max(round(cells.shape[0] * rows_px), looked.height_px)
    width = max(round(cells.shape[1] * columns_px), looked.width_px)
    pixels = functional.interpolate(
        cells[None, None].float(), size=(height, width), mode="bilinear", align_corners=False
    )
    whole: np.ndarray = pixels[0, 0, : looked.height_px, : looked.width_px].cpu().numpy()
    return np.ascontiguousarray(whole)
