"""Shards: any image comes back as it went in, by other programs too."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.intensity import STATISTICS
from radpath.data.pixel_store import IDENTITY, open_store, read_pool, write_shard


def images_of(sizes: list[tuple[int, int, bool]], channels: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [
        generator.integers(0, 65535 if deep else 255, (height, width, channels), dtype=np.uint16 if deep else np.uint8)
        for height, width, deep in sizes
    ]


def row_of(number: int, image: np.ndarray) -> dict[str, object]:
    return {
        "source": f"{number}.png",
        "bytes_of_file": 9,
        "modified_ns": number,
        "changed_ns": 1,
        "file_digest": "f",
        "pixel_digest": "p",
        "slope": 1.0,
        "intercept": 0.0,
        **dict(zip(("height_px", "width_px", "channels"), image.shape, strict=True)),
        "code_bits": image.dtype.itemsize * 8,
        **dict.fromkeys(STATISTICS, 0.0),
    }


def stored(pool: Path, name: str, images: list[np.ndarray], *, first: int = 0) -> None:
    write_shard(pool, name, [row_of(first + number, image) for number, image in enumerate(images)], images)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans()), min_size=1, max_size=8),
    channels=st.sampled_from([1, 3]),
)
def test_every_image_comes_back_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[tuple[int, int, bool]], channels: int
) -> None:
    pool, images = tmp_path_factory.mktemp("pool"), images_of(sizes, channels)
    half = (len(images) + 1) // 2
    stored(pool, "one", images[:half])
    if images[half:]:
        stored(pool, "two", images[half:], first=half)
    table = read_pool(pool, with_pixels=True).sort("modified_ns").with_columns(record_id="source")
    store = open_store(pool, table[::-1], channels=channels)
    for place, image in enumerate(reversed(images)):
        found = store.image(place)
        assert found.dtype == image.dtype
        assert np.array_equal(found, image)


def test_other_programs_open_a_shard_with_numpy_and_a_parquet_reader(tmp_path: Path) -> None:
    [image] = images_of([(4, 5, True)], 3)
    stored(tmp_path, "one", [image])
    row = pl.read_parquet(tmp_path / "one.parquet").row(0, named=True)
    flat = np.load(tmp_path / "one.npy", allow_pickle=False)
    found = flat[row["offset"] : row["offset"] + image.nbytes].view("<u2").reshape(4, 5, 3)
    assert np.array_equal(found, image)


def test_an_image_is_a_view_that_cannot_be_written(tmp_path: Path) -> None:
    stored(tmp_path, "one", images_of([(4, 5, False)], 1))
    table = read_pool(tmp_path, with_pixels=True).with_columns(record_id="source")
    image = open_store(tmp_path, table, channels=1).image(0)
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 1


def test_records_are_found_by_their_ids(tmp_path: Path) -> None:
    stored(tmp_path, "one", images_of([(1, 1, False)] * 3, 1))
    table = read_pool(tmp_path, with_pixels=True).with_columns(record_id="source")
    assert open_store(tmp_path, table, channels=1).index(["2.png", "0.png", "0.png"]).tolist() == [2, 0, 0]


def test_an_image_that_two_processes_wrote_counts_once(tmp_path: Path) -> None:
    images = images_of([(2, 2, False)], 1)
    stored(tmp_path, "one", images)
    stored(tmp_path, "two", images)
    assert len(read_pool(tmp_path, with_pixels=True)) == 1


def test_a_pool_that_is_not_there_is_empty(tmp_path: Path) -> None:
    table = read_pool(tmp_path / "none", with_pixels=True)
    assert table.is_empty()
    assert {*IDENTITY, "shard", "offset"} <= set(table.columns)


def test_a_pool_of_digests_needs_no_arrays(tmp_path: Path) -> None:
    rows = [{**dict.fromkeys(IDENTITY, 1), "source": "a", "file_digest": "f", "pixel_digest": "p"}]
    write_shard(tmp_path, "one", rows, None)
    assert [path.name for path in tmp_path.iterdir()] == ["one.parquet"]
    assert read_pool(tmp_path, with_pixels=False)["file_digest"].to_list() == ["f"]
