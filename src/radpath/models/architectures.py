"""Which networks there are: timm's by their names, and a few of radpath's own beside them.

In: a name. Out: a network without a classifier, and what is known of it: the pixels it wants, the names of its first
convolution and of its classifier. Weights other than timm's own from the hub are left to ``weights``.
"""

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from torch import nn

from radpath.errors import SettingsError, WeightsError, first_line
from radpath.models import torchvision_compat
from radpath.models.preact_resnet import BLOCKS, build_preact_resnet
from radpath.models.simple_cnn import SimpleCNN

_ANY_SIZE: Final = {"channels": 3, "height_px": 224, "width_px": 224}  # the layers are the same for every size

OWN: Final[dict[str, Callable[[], nn.Module]]] = {
    "simple_cnn": SimpleCNN,
    **{
        f"preact_resnet{depth}": partial(build_preact_resnet, **_ANY_SIZE, num_classes=0, depth=depth)
        for depth in BLOCKS
    },
}
"""The architectures that are not timm's; nobody publishes weights for them."""


def require_known(name: str) -> None:
    """Refuse the name of a network that nobody has.

    Raises:
        SettingsError: naming the nearest.
    """
    torchvision_compat.ensure_importable()
    import timm

    known = [*OWN, *timm.list_models()]
    if name.partition(".")[0] not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise SettingsError(f"model.backbone is '{name}', which timm does not know{hint}")


def create_network(name: str, *, from_hub: bool) -> tuple[nn.Module, dict[str, Any]]:
    """Create a network without a classifier, with random weights or with timm's, and what is known of it.

    Args:
        name: one that ``require_known`` accepts.
        from_hub: whether timm's weights are loaded, which may need a network connection.

    Raises:
        WeightsError: timm cannot provide the weights.
    """
    if name in OWN:
        network: Any = OWN[name]()
        return network, dict(network.default_cfg)
    torchvision_compat.ensure_importable()
    import timm

    try:
        network = timm.create_model(name, pretrained=from_hub, num_classes=0)
    except (RuntimeError, OSError) as error:
        weights = "hub" if from_hub else "none"
        raise WeightsError(
            f"timm cannot provide '{name}' with model.weights = '{weights}': {first_line(error)}; "
            "without a network use 'bundled', 'file' or 'none'"
        ) from None
    return network, dict(network.default_cfg)
