"""Four convolutions, each followed by ReLU and maximum pooling: the small network that is trained from nothing.

In: a batch of images. Out: 128 numbers an image. The names ``stem``, ``stages`` and ``feature_info`` are as in timm, so
that it can be frozen and cut like any other backbone.

The network of the tissue classifier that it follows flattens its last maps, 128 x 16 x 16 numbers of an image of
256 px, into a linear layer of 131,072 weights a class. Here they are averaged over the positions instead: any size of
image fits, padding changes nothing, and the layer behind has 128 weights a class.
"""

from typing import Any, Final, final

from jaxtyping import Float
from torch import Tensor, nn

_CHANNELS: Final = (16, 32, 64, 128)


@final
class SimpleCNN(nn.Module):
    """Four times a convolution of 5 x 5, ReLU and maximum pooling of 2 x 2; then the mean over the positions.

    >>> sum(parameter.numel() for parameter in SimpleCNN().parameters())
    270240
    """

    default_cfg: Final[dict[str, Any]] = {
        "input_size": (3, 256, 256),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "first_conv": "stem.0",
        "classifier": "fc",
    }
    """What timm tells of its networks; pixels go in as -1..1."""

    def __init__(self) -> None:
        super().__init__()
        sides = zip((3, *_CHANNELS), _CHANNELS, strict=False)
        self.stem, *stages = (_stage(before, after) for before, after in sides)
        self.stages = nn.Sequential(*stages)
        names = ("stem", *(f"stages.{number}" for number in range(len(stages))))
        self.feature_info = [
            {"module": name, "num_chs": channels, "reduction": 2 ** (number + 1)}
            for number, (name, channels) in enumerate(zip(names, _CHANNELS, strict=True))
        ]
        self.num_features = _CHANNELS[-1]
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        """Return the mean over the positions of the last maps, whose sides are a sixteenth of the image's."""
        features: Tensor = self.flatten(self.global_pool(self.stages(self.stem(images))))
        return features


def _stage(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
