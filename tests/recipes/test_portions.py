from pathlib import Path

import numpy as np
import pytest

from radpath.errors import DataError
from radpath.recipes.portions import Portions


def filled(portions: Portions) -> None:
    for number in portions.missing():
        rows = portions.rows(number)
        portions.add(number, {"value": np.arange(rows.start, rows.stop), "pair": np.ones((rows.stop - rows.start, 2))})


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("num_images", [1, 4, 5, 8])
def test_the_arrays_of_all_images_come_in_their_order(tmp_path: Path, num_images: int, *, keeps: bool) -> None:
    portions = Portions(folder=tmp_path / "kept" if keeps else None, num_images=num_images, size=4)
    filled(portions)
    assert portions.missing() == []
    found = portions.all()
    assert found["value"].tolist() == list(range(num_images))
    assert found["pair"].shape == (num_images, 2)


def test_only_what_is_missing_is_done_again(tmp_path: Path) -> None:
    first = Portions(folder=tmp_path, num_images=10, size=4)
    first.add(1, {"value": np.full(4, 7)})
    again = Portions(folder=tmp_path, num_images=10, size=4)
    assert again.missing() == [0, 2]
    assert again.num_done(again.missing()) == 4


def test_a_damaged_portion_is_named(tmp_path: Path) -> None:
    portions = Portions(folder=tmp_path, num_images=4, size=4)
    filled(portions)
    (tmp_path / "000000.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match=r"000000.safetensors is damaged .*; delete its folder and predict again"):
        portions.all()
