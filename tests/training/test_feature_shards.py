"""What is written is read again, bit by bit, whatever the shapes; what is damaged or unfinished does not count."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.errors import StorageError
from radpath.training.feature_shards import Kept, KeptActivations, together, write_shard


def kept(*sides: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Kept:
    values = np.random.default_rng(seed).normal(size=sides).astype(np.float32)
    height, width = (sides[1], sides[2]) if len(sides) == 3 else (1, 1)
    return Kept(values=values, height=height, width=width, dtype=dtype)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=6))
def test_maps_of_any_sizes_come_back_in_the_top_left_corner(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    entries = [kept(3, *size, seed=place) for place, size in enumerate(sizes)]
    write_shard(folder, range(len(entries)), entries)
    positions = np.arange(len(entries))[::-1]
    batch = KeptActivations(folder).of(positions)
    for row, place in enumerate(positions.tolist()):
        height, width = sizes[place]
        assert np.array_equal(batch.values[row, :, :height, :width], entries[place].values)
        assert float(batch.values[row].abs().sum()) == pytest.approx(float(np.abs(entries[place].values).sum()))
        assert (int(batch.heights[row]), int(batch.widths[row])) == (height, width)


def test_vectors_and_tokens_come_back_as_they_were(tmp_path: Path) -> None:
    for name, sides in (("vectors", (7,)), ("tokens", (4, 7))):
        entries = [kept(*sides, seed=place) for place in range(3)]
        write_shard(tmp_path / name, [5, 0, 2], entries)
        batch = KeptActivations(tmp_path / name).of(np.array([0, 2, 5]))
        assert np.array_equal(batch.values, np.stack([entries[place].values for place in (1, 2, 0)]))


def test_numbers_of_16_bits_come_back_with_their_type() -> None:
    assert together([kept(2, dtype=torch.bfloat16)]).values.dtype == torch.bfloat16


def test_several_shards_are_one(tmp_path: Path) -> None:
    write_shard(tmp_path, [0, 1], [kept(2), kept(2, seed=1)])
    write_shard(tmp_path, [2], [kept(2, seed=2)])
    found = KeptActivations(tmp_path)
    assert found.holds(np.array([2, 0, 1]))
    assert not found.holds(np.array([2, 3]))
    assert found.num_bytes == 3 * 2 * 4


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert not KeptActivations(tmp_path / "nowhere").holds(np.array([0]))


@pytest.mark.parametrize("ending", ["npy", "parquet"])
def test_a_damaged_shard_does_not_count(tmp_path: Path, ending: str) -> None:
    write_shard(tmp_path, [0], [kept(50)])
    (damaged,) = tmp_path.glob(f"*.{ending}")
    damaged.write_bytes(damaged.read_bytes()[:90])
    assert not KeptActivations(tmp_path).holds(np.array([0]))


def test_numbers_without_their_table_do_not_count(tmp_path: Path) -> None:
    write_shard(tmp_path, [0], [kept(5)])
    next(tmp_path.glob("*.parquet")).unlink()
    assert not KeptActivations(tmp_path).holds(np.array([0]))


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"^cannot write .*a file"):
        write_shard(tmp_path / "file" / "kept", [0], [kept(5)])
