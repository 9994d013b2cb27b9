"""Class activation maps agree with their papers, with captum, and do not see padding."""

from collections.abc import Callable

import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.batches import Batch
from radpath.explanation.class_activation import CAMS, activation_map, grad_cam, grad_cam_pp, hires_cam, spread
from radpath.explanation.layers import LayerView, map_layers, view_layer
from radpath.explanation.looking import Looked, images_of
from radpath.models.classifier import Classifier

ModelMaker = Callable[..., Classifier]
BatchMaker = Callable[..., Batch]
CPU = torch.device("cpu")


@pytest.mark.parametrize("backbone", ["test_resnet", "simple_cnn", "test_convnext"])
def test_grad_cam_is_that_of_captum(make_model: ModelMaker, make_batch: BatchMaker, backbone: str) -> None:
    model = make_model(backbone).eval()
    (looked,) = images_of(make_batch([(128, 128)], canvas=128), CPU)
    layer = map_layers(model)[-1]
    found = grad_cam(view_layer(model, looked, 2, layer))
    theirs = captum.attr.LayerGradCam(
        lambda images: looked.scores(model, images), model.backbone.network.get_submodule(layer.module)
    )
    expected = theirs.attribute(looked.canvas.clone().requires_grad_(), target=2, relu_attributions=True)
    assert torch.allclose(found, expected[0, 0], rtol=1e-4, atol=1e-7)


def test_hires_cam_sums_to_the_score_behind_a_mean_and_a_linear_head(
    make_model: ModelMaker, make_batch: BatchMaker
) -> None:
    model = make_model("simple_cnn").eval()
    (looked,) = images_of(make_batch([(70, 90)], canvas=96), CPU)
    view = view_layer(model, looked, 0, map_layers(model)[-1])
    with torch.no_grad():
        score = looked.scores(model, looked.canvas)[0, 0] - model.head.bias[0]
    assert float(hires_cam(view).sum()) == pytest.approx(float(score), rel=1e-4)


def test_grad_cam_pp_by_hand() -> None:
    # Channel 0: shares 4 / (2 * 4 + 4 * 8) = 0.1 and 1 / (2 + 4) = 1/6, weight 0.1 * 2 + 1/6; channel 1 has none.
    view = LayerView(
        activations=torch.tensor([[[1.0, 3.0]], [[5.0, 5.0]]]),
        gradients=torch.tensor([[[2.0, 1.0]], [[0.0, -1.0]]]),
        rows_px=1.0,
        columns_px=1.0,
    )
    assert torch.allclose(grad_cam_pp(view), torch.tensor([[11 / 30, 11 / 10]]))


@pytest.mark.parametrize("method", CAMS)
@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet"])
def test_a_map_does_not_depend_on_canvas_padding_or_freezing(
    make_model: ModelMaker, make_batch: BatchMaker, backbone: str, method: str
) -> None:
    model, frozen = make_model(backbone).eval(), make_model(backbone, freeze="all").eval()
    frozen.load_state_dict(model.state_dict())
    layer = map_layers(model)[-2]
    (near,) = images_of(make_batch([(70, 90)], canvas=96), CPU)
    (far,) = images_of(make_batch([(70, 90)], canvas=160, rubbish=0.7), CPU)
    expected = activation_map(model, near, 1, layer=layer, cells_of=CAMS[method])
    assert expected.shape == (70, 90)
    assert expected.std() > 0
    scale = float(np.abs(expected).max())
    for other, looked in ((model, far), (frozen, near)):
        found = activation_map(other, looked, 1, layer=layer, cells_of=CAMS[method])
        assert np.abs(found - expected).max() < 1e-4 * scale


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 31), st.integers(0, 31))
@settings(max_examples=25, deadline=None)
def test_cells_stay_where_they_are(rows: int, columns: int, cut_rows: int, cut_columns: int) -> None:
    height, width = 32 * rows - cut_rows, 32 * columns - cut_columns
    looked = Looked(canvas=torch.zeros(1, 3, 192, 192), height_px=height, width_px=width)
    cells = torch.arange(float(rows * columns)).reshape(rows, columns)
    found = spread(cells, looked, rows_px=32.0, columns_px=32.0)
    assert found.shape == (height, width)
    for row in range(rows):
        for column in range(columns):
            middle = 32 * row + 16, 32 * column + 16
            if middle[0] < height and middle[1] < width:
                assert abs(found[middle] - float(cells[row, column])) <= 0.5 / 32 * (columns + 1) + 1e-5
