"""Work spread over a real Ray cluster of this machine gives what one process gives."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from radpath.data.cluster import spread
from radpath.data.ingest import prepare
from radpath.data.inputs import DataSettings
from radpath.data.preparation import PixelSettings
from radpath.data.scan import scan
from radpath.errors import DeviceError, MissingExtraError

CPUS = 1


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=CPUS, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


def below(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds, and none of them about our use of it
def test_scanning_and_preparing_on_a_cluster_gives_the_same_bytes(cluster: Any, tmp_path: Path) -> None:
    assert cluster.is_initialized()
    (tmp_path / "images").mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "images" / "broken.png").write_bytes((tmp_path / "images" / "0.png").read_bytes()[:200])
    tables = []
    for where in (None, "local"):
        data = DataSettings(images=tmp_path / "images", ray=where)
        manifest = scan(data)
        whole, store = prepare(manifest, data, PixelSettings(size_px=16), stores=tmp_path / str(where))
        assert len(store.record_ids) == 5
        tables.append(whole.table)
    assert tables[0].equals(tables[1])
    assert below(tmp_path / "None") == below(tmp_path / "local")
    assert cluster.is_initialized()  # a connection that was there before stays


@pytest.mark.filterwarnings("ignore")
def test_results_come_in_the_order_of_the_pieces(cluster: Any) -> None:
    assert cluster.is_initialized()
    assert list(spread(abs, range(-9, 0), address="local")) == list(range(9, 0, -1))


def test_a_missing_ray_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'radpath\[ray\]'"):
        list(spread(abs, [1], address="local"))


def test_an_address_without_a_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(DeviceError, match=r"no Ray cluster at 'auto': Could not find any running Ray instance\."):
        list(spread(abs, [1], address="auto"))
