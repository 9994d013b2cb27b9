"""Maps at the pixels: sums that their papers promise, and oracles by hand."""

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from radpath.data.batches import Batch
from radpath.errors import MissingExtraError
from radpath.explanation.looking import Looked, images_of
from radpath.explanation.pixels import baseline_of, integrated_gradients, occlusion
from radpath.explanation.settings import ExplanationSettings
from radpath.models.classifier import Classifier

ModelMaker = Callable[..., Classifier]
BatchMaker = Callable[..., Batch]


@pytest.fixture
def looked(make_batch: BatchMaker) -> Looked:
    (one,) = images_of(make_batch([(40, 50)], canvas=64, rubbish=0.3), torch.device("cpu"))
    return one


@pytest.mark.parametrize("baseline", ["mean", "black", "white"])
def test_integrated_gradients_sum_to_the_difference_from_the_baseline(
    make_model: ModelMaker, looked: Looked, baseline: str
) -> None:
    model = make_model("simple_cnn", freeze="all").eval()
    settings = ExplanationSettings.model_validate({"baseline": baseline, "steps": 200})
    found = integrated_gradients(model, looked, 1, settings)
    with torch.no_grad():
        scores = looked.scores(model, torch.cat([looked.canvas, baseline_of(looked, settings.baseline)]))[:, 1]
    assert found.shape == (40, 50)
    assert float(found.sum()) == pytest.approx(float(scores[0] - scores[1]), rel=0.05, abs=1e-4)


def test_padding_takes_no_part(make_model: ModelMaker, make_batch: BatchMaker, looked: Looked) -> None:
    model = make_model("simple_cnn").eval()
    (far,) = images_of(make_batch([(40, 50)], canvas=96), torch.device("cpu"))
    for method in (integrated_gradients, occlusion):
        settings = ExplanationSettings(steps=8, window=0.5)
        near, other = method(model, looked, 0, settings), method(model, far, 0, settings)
        assert np.abs(near - other).max() < 1e-3 * np.abs(near).max()


def test_occlusion_is_the_mean_fall_of_the_score_over_the_squares_of_a_pixel(
    make_model: ModelMaker, looked: Looked
) -> None:
    model = make_model("simple_cnn").eval()
    found = occlusion(model, looked, 2, ExplanationSettings(window=0.5, baseline="black"))
    falls, counts = np.zeros((40, 50)), np.zeros((40, 50))
    with torch.no_grad():
        before = float(looked.scores(model, looked.canvas)[0, 2])
        for top in range(0, 30, 10):
            for left in range(0, 40, 10):
                hidden = looked.canvas.clone()
                hidden[:, :, top : top + 20, left : min(left + 20, 50)] = 0
                fall = before - float(looked.scores(model, hidden)[0, 2])
                falls[top : top + 20, left : left + 20] += fall
                counts[top : top + 20, left : left + 20] += 1
    assert np.abs(found - falls / counts).max() < 1e-4 * np.abs(falls).max()


def test_the_mean_baseline_is_that_of_the_image_without_padding(looked: Looked) -> None:
    empty = baseline_of(looked, "mean")
    assert torch.allclose(empty[0, :, 0, 0], looked.canvas[0, :, :40, :50].mean(dim=(1, 2)))
    assert torch.equal(empty[:, :, 40:], looked.canvas[:, :, 40:])


def test_a_missing_extra_is_named(make_model: ModelMaker, looked: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install radpath\[explain\]; grad_cam"):
        occlusion(make_model("simple_cnn"), looked, 0, ExplanationSettings())
