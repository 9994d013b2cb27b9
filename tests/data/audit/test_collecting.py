"""Tests of collecting signatures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from radpath.data.audit.collecting import Signatures, read_signatures, signatures_of_store
from radpath.data.audit.signature import STATISTICS, signature_of
from radpath.data.ingest import prepare
from radpath.data.inputs import DataSettings
from radpath.data.preparation import PixelSettings
from radpath.data.reading import read_image
from radpath.data.scan import scan
from radpath.errors import DataError


def test_signatures_of_files_are_those_of_their_pixels(tmp_path: Path, write_png: Callable[[Path, int], None]) -> None:
    for number in range(3):
        write_png(tmp_path / f"{number}.png", 40 * number)
    data = DataSettings(images=tmp_path)
    signatures = read_signatures(scan(data), data)
    assert signatures.record_ids == ("0.png", "1.png", "2.png")
    assert signatures.statistics.columns == ["record_id", *STATISTICS]
    expected = signature_of(read_image(tmp_path, "2.png", "", data))
    np.testing.assert_array_equal(signatures.thumbnails[2], expected.thumbnail)
    assert signatures.statistics["brightness"][2] == expected.brightness


def test_an_image_that_is_gone_has_no_signature(tmp_path: Path, write_png: Callable[[Path, int], None]) -> None:
    for number in range(2):
        write_png(tmp_path / f"{number}.png", 90)
    data = DataSettings(images=tmp_path)
    manifest = scan(data)
    (tmp_path / "0.png").write_bytes(b"")
    signatures = read_signatures(manifest, data)
    assert signatures.record_ids == ("1.png",)
    with pytest.raises(DataError, match=r"^image 0\.png has no signature; compute signatures of all kept images"):
        signatures.places(["1.png", "0.png"])


def test_a_store_gives_signatures_too(tmp_path: Path, write_png: Callable[[Path, int], None]) -> None:
    write_png(tmp_path / "images" / "a.png", 100)
    data = DataSettings(images=tmp_path / "images")
    settings = PixelSettings(size_px=32, channels="grey")
    _, store = prepare(scan(data), data, settings, stores=tmp_path / "stores")
    signatures = signatures_of_store(store)
    assert signatures.record_ids == ("a.png",)
    assert signatures.statistics["brightness"][0] == pytest.approx(0.49, abs=0.05)


def test_the_order_of_signatures_is_that_of_their_ids() -> None:
    one, other = signature_of(np.zeros((8, 8), np.uint8)), signature_of(np.full((8, 8), 255, np.uint8))
    signatures = Signatures.of({"b": one, "a": other})
    assert signatures.record_ids == ("a", "b")
    assert signatures.statistics.select(pl.col("brightness")).to_series().to_list() == [1.0, 0.0]
    assert signatures.places(["b", "a", "b"]).tolist() == [1, 0, 1]
