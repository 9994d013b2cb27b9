"""What is told of a network: its stages, what learns, and the size of a head that is never built."""

import re

import pytest
import torch

from radpath.errors import SettingsError
from radpath.recipes.describe_model import describe_model


def told(capsys: pytest.CaptureFixture[str], backbone: str | None, *wishes: str, classes: int = 2) -> dict[str, str]:
    """Return the second column by the first; a row without a first belongs to the one above."""
    describe_model(backbone, assignments=wishes, num_classes=classes)
    rows: dict[str, str] = {}
    last = ""
    for line in capsys.readouterr().out.splitlines():
        cells = re.split(r"  +", line.strip())
        if line.startswith("  ") and len(cells) > 1:
            last = cells[0]
            rows[last] = "  ".join(cells[1:])
        elif line.startswith("    "):
            rows[last] += f"  {cells[0]}"
    return rows


def test_stages_are_listed_with_what_learns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, "test_resnet", "model.freeze=top-2")
    assert rows["stem"] == "7,472  no  conv1, bn1"
    assert rows["stage2"] == "36,384  no  layer2"
    assert rows["stage3"] == "42,432  yes  layer3"
    assert rows["model.freeze"] == "top-2: stage3, stage4 and the head learn"
    assert rows["head"] == "linear, 194 parameters for 2 classes  too large for fewer than 2 training images"
    assert rows["kept features"] == "48 x 28 x 28 numbers of an image of 224 px (0.15 MB)"
    assert (rows["padding"], rows["size"]) == ("changes nothing", "any, from 32 px")


def test_the_usual_backbone_brings_its_own_normalisation(capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, None)
    assert rows["features"] == "1,280"
    assert rows["pixels"] == "each channel less 0.5, 0.5, 0.5, divided by 0.5, 0.5, 0.5"
    assert rows["kept features"] == "none: everything changes"


def test_a_head_larger_than_the_memory_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    wishes = ("model.head.kind=conv_skip", "model.head.num_filters=2000", "model.head.hidden_ratio=1.0")
    rows = told(capsys, "test_resnet", *wishes)
    width = 2000 * 95
    expected = 2000 * 2 + 2 * 2000 + 96 * width + 2 * width + width**2 + 2 * width + 2 * width + 2
    assert rows["head"].startswith(f"conv_skip, {expected:,} parameters for 2 classes")


def test_a_transformer_says_what_it_cannot_do(capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, "test_vit", "model.freeze=all")
    assert rows["size"] == "160 x 160 px only"
    assert rows["padding"].startswith("cannot be used: ")
    assert rows["kept features"] == "64 numbers of an image of 160 px (0.00 MB)"


def test_an_older_name_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, "resnet18", "model.freeze=unfreezetop3")
    assert rows["model.freeze"].endswith("meant the last 3 modules, avgpool, layer4, layer3; here it is 'top-2'")


def test_it_draws_nothing_from_the_global_generator(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    told(capsys, "test_resnet")
    assert torch.equal(torch.rand(1), expected)


def test_other_settings_and_wrong_names_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^describe-model reads settings of \[model\] only, not of \[training\]$"):
        describe_model(None, assignments=["training.epochs=3"], num_classes=2)
    with pytest.raises(SettingsError, match=r"'resnet19'.*did you mean"):
        describe_model("resnet19", assignments=[], num_classes=2)
