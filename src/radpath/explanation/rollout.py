"""Attention rollout: which patches of an image a transformer's attention leads to.

In: a transformer all of whose blocks attend from every token to every other. Out: for each patch the share of attention
that reaches it through all blocks (Abnar and Zuidema 2020, "Quantifying attention flow in transformers", section 3):
each block's attention, the mean over its heads, is averaged with the identity, for the path around it, and multiplied
to what came before. It knows nothing of classes or of the head: the map is the same for every class.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from radpath.explanation.class_activation import spread
from radpath.explanation.looking import Looked, run_empty, smallest_side_px
from radpath.models.classifier import Classifier


def attends_globally(model: Classifier) -> bool:
    """Return True where every block of a network attends from each patch to all of one grid; it runs once."""
    network: Any = model.backbone.network
    if not hasattr(getattr(network, "patch_embed", None), "dynamic_feat_size") or not _attentions(network):
        return False
    side = smallest_side_px(model)
    with _attention_of(network) as seen:
        run_empty(model, side)
    rows, columns = network.patch_embed.dynamic_feat_size((side, side))
    tokens = rows * columns + int(getattr(network, "num_prefix_tokens", 0))
    return len(seen) == len(_attentions(network)) and all(
        attention.dim() == 4 and len(attention) == 1 and attention.shape[2:] == (tokens, tokens) for attention in seen
    )


def attention_rollout(model: Classifier, looked: Looked) -> Float32[np.ndarray, "height width"]:
    """Return the share of attention of each pixel's patch, for a network that ``attends_globally``."""
    network: Any = model.backbone.network
    with torch.no_grad(), _attention_of(network) as seen:
        looked.scores(model, looked.canvas)
    flow = rollout([attention[0] for attention in seen])
    height, width = looked.canvas.shape[2:]
    rows, columns = network.patch_embed.dynamic_feat_size((height, width))
    prefix = len(flow) - rows * columns
    # What the features are made of: the class token, or the mean of the patches.
    reads_token = prefix > 0 and getattr(network, "global_pool", "token") == "token"
    reached = flow[0] if reads_token else flow[prefix:].mean(dim=0)
    cells = reached[prefix:].reshape(rows, columns)
    return spread(cells, looked, rows_px=height / rows, columns_px=width / columns)


def rollout(attentions: list[Float[Tensor, "heads tokens tokens"]]) -> Float[Tensor, "tokens tokens"]:
    """Return how much of each input token (column) is in each output token (row); the rows sum to 1.

    >>> rollout([torch.tensor([[[0.0, 1.0], [0.0, 1.0]]])]).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    flow = torch.eye(attentions[0].shape[-1], device=attentions[0].device)
    for attention in attentions:
        with_path = (attention.float().mean(dim=0) + torch.eye(len(flow), device=flow.device)) / 2
        flow = with_path @ flow
    return flow


def _attentions(network: nn.Module) -> list[Any]:
    """Return the modules of timm that can show their attention."""
    return [
        module
        for module in network.modules()
        if hasattr(module, "fused_attn") and isinstance(getattr(module, "attn_drop", None), nn.Module)
    ]


@contextlib.contextmanager
def _attention_of(network: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list to which a run of the network adds each block's attention, after its softmax."""
    seen: list[Tensor] = []
    modules = _attentions(network)
    fused = [module.fused_attn for module in modules]
    handles = [
        module.attn_drop.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        for module in modules
    ]
    try:
        for module in modules:
            module.fused_attn = False  # the fused kernel never holds the attention as a whole
        yield seen
    finally:
        for module, was in zip(modules, fused, strict=True):
            module.fused_attn = was
        for handle in handles:
            handle.remove()
