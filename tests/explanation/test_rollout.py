"""Attention rollout multiplies what the blocks of a transformer attend to."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.batches import Batch
from radpath.explanation.looking import images_of
from radpath.explanation.rollout import attends_globally, attention_rollout, rollout
from radpath.models.classifier import Classifier

ModelMaker = Callable[..., Classifier]


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_all_attention_comes_from_somewhere(blocks: int, heads: int, tokens: int, seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    attentions = [torch.rand(heads, tokens, tokens, generator=drawn).softmax(dim=-1) for _ in range(blocks)]
    flow = rollout(attentions)
    assert torch.allclose(flow.sum(dim=1), torch.ones(tokens), atol=1e-5)
    assert (flow >= 0).all()


def test_later_blocks_read_what_earlier_ones_wrote() -> None:
    to_second = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    to_third = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]])
    # First token 0 takes half of 1; before that, 1 took half of 2.
    assert rollout([to_third, to_second])[0].tolist() == [0.5, 0.25, 0.25]


def test_only_plain_transformers_attend_globally(make_model: ModelMaker) -> None:
    assert attends_globally(make_model("test_vit").eval())
    assert not attends_globally(make_model("test_resnet").eval())


@pytest.mark.parametrize("backbone", ["test_vit", "test_vit2"])  # with a class token; with the mean of the patches
def test_the_map_is_what_reaches_the_features(
    make_model: ModelMaker, make_batch: Callable[..., Batch], backbone: str
) -> None:
    model = make_model(backbone).eval()
    side = model.backbone.required_size_px
    assert side is not None
    (looked,) = images_of(make_batch([(side, side)], canvas=side), torch.device("cpu"))
    before = looked.scores(model, looked.canvas)
    fused = [module.fused_attn for module in model.modules() if hasattr(module, "fused_attn")]
    found = attention_rollout(model, looked)
    assert found.shape == (side, side)
    assert found.min() >= 0
    assert 0 < found.mean() * (side / 16) ** 2 <= 1 + 1e-5  # the rest stays with the tokens that are no patches
    assert np.ptp(found) > 0
    assert [module.fused_attn for module in model.modules() if hasattr(module, "fused_attn")] == fused
    assert torch.equal(looked.scores(model, looked.canvas), before)
