"""From a feature map to one vector: the mean over positions, or a learned choice of positions.

In: a network whose last pooling is a mean. Out: the same network with attention in its place. Attention begins as the
mean, whatever the network: its one learned query starts at zero, so that all positions weigh the same. It is attention
pooling as in Ilse, Tomczak and Welling (2018), "Attention-based deep multiple instance learning", equation 7, with
positions as instances and, instead of their hidden layer, a linear score.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from radpath.errors import SettingsError
from radpath.models import torchvision_compat


@final
class AttentionPooling(nn.Module):
    """A mean over positions, each weighted by how well it answers a learned query."""

    def __init__(self, num_features: int, *, flatten: bool) -> None:
        """Begin as the plain mean; ``flatten``: give (batch, features) instead of (batch, features, 1, 1)."""
        super().__init__()
        self.query = nn.Parameter(torch.zeros(num_features))
        self._flatten = flatten

    def forward(self, features: Float[Tensor, "batch features height width"]) -> Tensor:
        """Return one vector an image."""
        scores = torch.einsum("bfhw,f->bhw", features, self.query.to(features.dtype))[:, None]
        pooled = attend(features, scores * len(self.query) ** -0.5)
        return pooled if self._flatten else pooled[:, :, None, None]


def attend(
    features: Float[Tensor, "batch features height width"], scores: Float[Tensor, "batch 1 height width"]
) -> Float[Tensor, "batch features"]:
    """Return the mean of the features, weighted by the softmax of the scores over all positions.

    ``valid_area`` knows this function, and leaves out what lies outside an image.
    """
    if has_torch_function((features, scores)):
        seen: Tensor = handle_torch_function(attend, (features, scores), features, scores)
        return seen
    weights = scores.float().flatten(2).softmax(dim=2)
    return (features.float().flatten(2) * weights).sum(dim=2).to(features.dtype)


def attach_attention(network: nn.Module, example: Float[Tensor, "1 channels height width"]) -> str:
    """Put attention in the place of the network's last pooling; return the module's name.

    Args:
        network: is changed.
        example: an image on which it runs.

    Raises:
        SettingsError: the network has no such pooling, or more than one.
    """
    name, flatten = _pooling_of(network)
    seen: list[Tensor] = []
    handle = network.get_submodule(name).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    was_training = network.training
    with torch.no_grad():
        network.eval()(example)
    network.train(was_training)
    handle.remove()
    attention = AttentionPooling(seen[0].shape[1], flatten=flatten)
    network.set_submodule(name, attention.to(example.device))
    return name


def _pooling_of(network: nn.Module) -> tuple[str, bool]:
    """Return the one module that takes the mean over all positions of a map, and whether it gives (batch, features)."""
    torchvision_compat.ensure_importable()
    from timm.layers import SelectAdaptivePool2d

    # The layers inside a network may take such means too (channel attention), but not by timm's own module.
    modules = dict(network.named_modules())
    pools = [name for name, module in modules.items() if isinstance(module, SelectAdaptivePool2d)]
    pools = pools or [name for name, module in modules.items() if isinstance(module, nn.AdaptiveAvgPool2d)]
    if len(pools) != 1 or not _is_mean(modules[pools[0]]):
        raise SettingsError(
            "model.pooling is 'attention', but the backbone does not end in a mean over the positions of a feature "
            "map; set 'mean', or take a convolutional backbone"
        )
    return pools[0], modules[pools[0]](torch.zeros(1, 2, 3, 5)).dim() == 2


def _is_mean(pooling: nn.Module) -> bool:
    example = torch.arange(30.0).view(1, 2, 3, 5)
    pooled = pooling(example).flatten()
    return pooled.shape == (2,) and torch.allclose(pooled, example.mean(dim=(2, 3)).flatten())
