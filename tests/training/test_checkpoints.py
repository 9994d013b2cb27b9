"""A checkpoint comes back to the last bit or not at all, and nothing is unpickled."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor

from radpath.errors import DataError, WeightsError
from radpath.models.classifier import Classifier, changing_tensors
from radpath.training.averaging import AverageSettings, WeightAverage
from radpath.training.checkpoints import Checkpoints, load_best, read_tensors, write_tensors
from radpath.training.optimisation import OptimisationSettings, build_optimiser

ModelMaker = Callable[..., Classifier]
HISTORY = [{"epoch": 1, "loss": 0.1 + 0.2}]


def stepped(model: Classifier, optimiser: torch.optim.Optimizer, average: WeightAverage, *, seed: int) -> None:
    """Take a step on noise, so that the weights, the statistics and the optimiser have something to remember."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(4, 3, 32, 32, generator=generator)
    sides = torch.full((4,), 32)
    optimiser.zero_grad()
    model(images, sides, sides).square().sum().backward()
    optimiser.step()
    average.after_step(model)


def parts_of(model: Classifier) -> tuple[Classifier, torch.optim.Optimizer, WeightAverage]:
    return model, build_optimiser(model, OptimisationSettings()), WeightAverage(model, AverageSettings(decay=0.9))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("freeze", ["none", "all"])
def test_a_restored_training_goes_on_to_the_same_bits(tmp_path: Path, make_model: ModelMaker, freeze: str) -> None:
    kept = Checkpoints(tmp_path)
    first = parts_of(make_model(freeze=freeze, dropout=0.0))
    stepped(*first, seed=1)
    kept.save_state(*first, Precision(), history=HISTORY)
    second = parts_of(make_model(freeze=freeze, dropout=0.0))
    second[0].head.weight.data.zero_()
    assert kept.load_state(*second, Precision()) == HISTORY
    for parts in (first, second):
        stepped(*parts, seed=2)
    assert same(first[0].state_dict(), second[0].state_dict())
    assert same(first[2].tensors, second[2].tensors)
    assert first[2].count == second[2].count == 2


def test_the_scale_of_16_bit_losses_is_restored(tmp_path: Path, make_model: ModelMaker) -> None:
    scalers = [torch.amp.GradScaler("cpu", init_scale=scale) for scale in (1024.0, 65536.0)]
    saved, other = (MixedPrecision("16-mixed", "cpu", scaler=scaler) for scaler in scalers)
    parts = parts_of(make_model())
    Checkpoints(tmp_path).save_state(*parts, saved, history=HISTORY)
    Checkpoints(tmp_path).load_state(*parts, other)
    # The scale itself is made with the first step; until then the scaler tells the value that it will have.
    assert other.state_dict()["scale"] == 1024.0


def test_a_training_in_32_bits_can_go_on_in_16(tmp_path: Path, make_model: ModelMaker) -> None:
    parts = parts_of(make_model())
    Checkpoints(tmp_path).save_state(*parts, Precision(), history=HISTORY)
    scaled = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=1024.0))
    assert Checkpoints(tmp_path).load_state(*parts, scaled) == HISTORY


def test_only_what_training_changes_is_kept_of_a_frozen_model(make_model: ModelMaker) -> None:
    assert set(changing_tensors(make_model(freeze="all"))) == {"head.weight", "head.bias"}
    assert "backbone.network.1.running_mean" in changing_tensors(make_model())


@pytest.mark.parametrize("other", [{"num_classes": 3}, {"features": 4}, {"freeze": "all"}])
def test_the_state_of_another_model_is_refused(
    tmp_path: Path, make_model: ModelMaker, other: dict[str, object]
) -> None:
    Checkpoints(tmp_path).save_state(*parts_of(make_model()), Precision(), history=HISTORY)
    with pytest.raises(DataError, match=r"state\.safetensors belongs to another model; start again with another --out"):
        Checkpoints(tmp_path).load_state(*parts_of(make_model(**other)), Precision())


def test_the_best_model_comes_back_whole(tmp_path: Path, make_model: ModelMaker) -> None:
    model = make_model(seed=1)
    write_tensors(tmp_path / "best.safetensors", model.state_dict(), {"epoch": 4})
    empty = make_model(seed=2)
    assert load_best(empty, tmp_path / "best.safetensors") == {"epoch": 4}
    assert same(empty.state_dict(), model.state_dict())


@pytest.mark.parametrize("other", [{"num_classes": 3}, {"features": 4}])
def test_the_best_of_another_model_is_refused(tmp_path: Path, make_model: ModelMaker, other: dict[str, object]) -> None:
    path = tmp_path / "best.safetensors"
    write_tensors(path, make_model().state_dict(), {"epoch": 4})
    with pytest.raises(WeightsError, match=r"best\.safetensors does not fit the model of experiment\.toml: size mis"):
        load_best(make_model(**other), path)


@pytest.mark.parametrize("missing", ["head.bias", "backbone.network.1.running_var"])
def test_a_best_model_that_lacks_a_tensor_is_refused(tmp_path: Path, make_model: ModelMaker, missing: str) -> None:
    tensors = {name: value for name, value in make_model().state_dict().items() if name != missing}
    write_tensors(tmp_path / "best.safetensors", tensors, {"epoch": 4})
    with pytest.raises(WeightsError, match=rf"does not fit the model of experiment\.toml: Missing .*{missing}"):
        load_best(make_model(), tmp_path / "best.safetensors")


def test_a_missing_checkpoint_says_that_no_epoch_was_finished(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"best\.safetensors is missing; the training did not finish an epoch$"):
        read_tensors(tmp_path / "best.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, make_model: ModelMaker, share: float) -> None:
    path = tmp_path / "best.safetensors"
    write_tensors(path, make_model().state_dict(), {"epoch": 4})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"best\.safetensors is damaged: "):
        load_best(make_model(), path)


@pytest.mark.parametrize("metadata", [b"", b'"__metadata__":{"radpath":"{"},'])
def test_a_file_that_radpath_did_not_write_is_refused(tmp_path: Path, metadata: bytes) -> None:
    path = tmp_path / "best.safetensors"
    header = b"{" + metadata + b'"head.bias":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(DataError, match=r"best\.safetensors is damaged: "):
        read_tensors(path)


class Trap:
    """Unpickling it is what an attack would look like."""

    def __reduce__(self) -> tuple[Callable[[str], NoReturn], tuple[str]]:
        return pytest.fail, ("a pickle was read from a file",)


def test_a_pickle_in_place_of_a_checkpoint_is_refused_unread(tmp_path: Path, make_model: ModelMaker) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"is damaged: "):
        load_best(make_model(), path)
    with path.open("wb") as opened:
        torch.save({"head.bias": Trap()}, opened)
    with pytest.raises(DataError, match=r"is damaged: "):
        load_best(make_model(), path)


def test_a_number_that_json_lacks_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_tensors(tmp_path / "state.safetensors", {}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
