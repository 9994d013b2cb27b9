"""The benchmark needs no data, takes any experiment's settings, and writes what it measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from radpath.errors import SettingsError
from radpath.recipes.benchmark import benchmark, drawn_source
from radpath.recipes.experiment import compose_experiment

TINY = ("model.backbone=test_resnet", "batches.size=2", "pixels.size_px=32", "device.device=cpu")


def test_rates_and_what_holds_training_up_are_told_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(
        '[data]\nimages = "nowhere"\n[training.loss]\nclass_weights = "given"\ngiven_weights = { a = 1.0, b = 2.0 }\n',
        encoding="utf-8",
    )
    speed = benchmark(path, assignments=TINY, out=tmp_path / "speed.json", seconds=0.0, command="radpath benchmark")
    told, written = capsys.readouterr().out, json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert f"training       {speed.training:,.1f} images/s, {speed.share_of_step:.1%} of the network alone" in told
    assert f"What holds training up: {speed.bottleneck}" in told
    assert written["images_per_second"] == {
        "step": speed.step,
        "loader": speed.loader,
        "training": speed.training,
    }
    assert written["environment"]["command"] == "radpath benchmark"
    assert written["settings"]["batches.size"] == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["experiment.toml", "speed.json"]


def test_one_device_is_measured() -> None:
    with pytest.raises(SettingsError, match=r"^benchmark measures one device; set device\.num_devices = 1"):
        benchmark(None, assignments=[*TINY, "device.num_devices=2"], out=None, seconds=0.0, command="")


@pytest.mark.parametrize("size", ["fixed", "native"])
def test_drawn_images_fill_a_few_batches(size: str) -> None:
    values = {"data": {"images": "drawn"}, "pixels": {"size": size, "size_px": 64}, "batches": {"size": 4}}
    source = drawn_source(compose_experiment(values, []), smallest_canvas_px=32)
    assert [len(batch) for batch in source.in_order()] == [4, 4, 4]
    assert np.bincount(source.labels).tolist() == [6, 6]
    assert (set(source.heights_px.tolist()), set(source.widths_px.tolist())) == ({48}, {64})
