"""Array files in the MedMNIST layout."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from radpath.data.array_file import array_rows, read_member
from radpath.errors import DataError


def make_arrays(
    *, channels: int | None = None, kind: type[np.generic] = np.uint8
) -> dict[str, npt.NDArray[np.generic]]:
    """Three training, two validation and one test image of 4 x 5 pixels, the label of each its position."""
    draw = np.random.default_rng(0)
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, number in (("train", 3), ("val", 2), ("test", 1)):
        shape = (number, 4, 5) if channels is None else (number, 4, 5, channels)
        arrays[f"{name}_images"] = draw.integers(0, 200, shape).astype(kind)
        arrays[f"{name}_labels"] = np.arange(number, dtype=np.uint8)[:, np.newaxis]
    return arrays


def save(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Path:
    np.savez_compressed(path, allow_pickle=True, **arrays)
    return path


def test_every_image_is_a_row_with_its_label_and_its_side(tmp_path: Path) -> None:
    rows = array_rows(save(tmp_path / "cells.npz", make_arrays()))
    told = [(row["record_id"], row["label"], row["split"]) for row in rows]
    assert told == [
        ("cells.npz#train_images[0]", "0", "train"),
        ("cells.npz#train_images[1]", "1", "train"),
        ("cells.npz#train_images[2]", "2", "train"),
        ("cells.npz#val_images[0]", "0", "validation"),
        ("cells.npz#val_images[1]", "1", "validation"),
        ("cells.npz#test_images[0]", "0", "test"),
    ]


@pytest.mark.parametrize(("channels", "mode"), [(None, "grey"), (1, "grey"), (3, "RGB")])
@pytest.mark.parametrize(("kind", "bit_depth"), [(np.uint8, 8), (np.uint16, 16)])
def test_size_channels_and_depth_come_from_the_array(
    tmp_path: Path, channels: int | None, mode: str, kind: type[np.generic], bit_depth: int
) -> None:
    row = array_rows(save(tmp_path / "cells.npz", make_arrays(channels=channels, kind=kind)))[0]
    assert (row["width_px"], row["height_px"], row["channels"]) == (5, 4, channels or 1)
    assert (row["mode"], row["bit_depth"], row["bytes"]) == (mode, bit_depth, 20 * (channels or 1) * bit_depth // 8)


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_a_member_has_the_pixels_of_its_array(tmp_path: Path, channels: int | None) -> None:
    arrays = make_arrays(channels=channels)
    path = save(tmp_path / "cells.npz", arrays)
    image = read_member(path, "val_images[1]")
    np.testing.assert_array_equal(image, arrays["val_images"][1].reshape((4, 5, 3) if channels == 3 else (4, 5)))
    image[:] = 0  # the caller's own copy
    assert read_member(path, "val_images[1]").any()


def test_equal_images_have_equal_digests_and_others_have_not(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["test_images"][0] = arrays["train_images"][1]
    digests = [row["file_digest"] for row in array_rows(save(tmp_path / "cells.npz", arrays))]
    assert digests[5] == digests[1]
    assert len(set(digests)) == 5


def test_a_rewritten_file_is_read_anew(tmp_path: Path) -> None:
    arrays = make_arrays()
    path = save(tmp_path / "cells.npz", arrays)
    before = read_member(path, "train_images[0]")
    arrays["train_images"] = before[np.newaxis] + np.uint8(1)
    modified_ns = path.stat().st_mtime_ns + 1_000_000_000
    save(path, arrays)
    os.utime(path, ns=(modified_ns, modified_ns))
    np.testing.assert_array_equal(read_member(path, "train_images[0]"), before + 1)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "val_images",
            np.zeros((2, 4, 5, 4), np.uint8),
            r"val_images is uint8 of shape \(2, 4, 5, 4\); it must be uint8",
        ),
        ("val_images", np.zeros((2, 4), np.uint8), r"val_images is uint8 of shape \(2, 4\)"),
        ("val_images", np.zeros((2, 4, 5), np.float32), r"val_images is float32 of shape"),
        ("val_labels", np.zeros((2, 14), np.uint8), r"val_labels is uint8 of shape \(2, 14\); .* each of 2 images"),
        ("val_labels", np.zeros(3, np.uint8), r"val_labels is uint8 of shape \(3,\); .* each of 2 images"),
        ("val_labels", np.zeros(2, np.float64), r"val_labels is float64 of shape \(2,\)"),
        ("train_images", np.array([object()]), r"train_images is object of shape \(1,\)"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(
    tmp_path: Path, name: str, array: npt.NDArray[np.generic], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        array_rows(save(tmp_path / "cells.npz", make_arrays() | {name: array}))


def test_labels_of_one_dimension_are_read(tmp_path: Path) -> None:
    arrays = make_arrays()
    arrays["train_labels"] = np.array([4, 4, 9])
    assert [row["label"] for row in array_rows(save(tmp_path / "cells.npz", arrays))][:3] == ["4", "4", "9"]


def test_several_columns_of_labels_are_sets(tmp_path: Path) -> None:
    several = {
        f"{name}_labels": np.zeros((number, 2), np.uint8) for name, number in (("train", 3), ("val", 2), ("test", 1))
    }
    arrays = make_arrays() | several
    arrays["train_labels"] = np.array([[0, 1], [1, 1], [0, 0]])
    told = [row["label"] for row in array_rows(save(tmp_path / "chests.npz", arrays))]
    assert told[:3] == ["{0=0|1=1}", "{0=1|1=1}", "{0=0|1=0}"]
    arrays["train_labels"] = np.array([[0, 2], [1, 1], [0, 0]])
    with pytest.raises(DataError, match=r"^an array of labels with several columns holds 2; it must hold 1 and 0$"):
        array_rows(save(tmp_path / "grades.npz", arrays))


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    arrays = make_arrays()
    del arrays["test_labels"]
    with pytest.raises(
        DataError, match=r"has no array test_labels; radpath reads train_images, .* it holds: train_images"
    ):
        array_rows(save(tmp_path / "cells.npz", arrays))


def test_a_file_of_empty_arrays_is_refused(tmp_path: Path) -> None:
    empty = {name: array[:0] for name, array in make_arrays().items()}
    with pytest.raises(DataError, match=r"cells.npz holds no images: its arrays are empty$"):
        array_rows(save(tmp_path / "cells.npz", empty))


@pytest.mark.parametrize("kept_share", [0.0, 0.3, 0.95])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, kept_share: float) -> None:
    path = save(tmp_path / "cells.npz", make_arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept_share)])
    with pytest.raises(DataError, match=r"^.*cells.npz cannot be read as an array file \(.npz\): [^\n]*$"):
        array_rows(path)


def test_damage_inside_an_array_is_found(tmp_path: Path) -> None:
    path = tmp_path / "cells.npz"
    arrays = make_arrays()
    np.savez(path, allow_pickle=False, **arrays)
    content = path.read_bytes()
    place = content.index(arrays["train_images"].tobytes())
    path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
    with pytest.raises(DataError, match="cannot be read as an array file"):
        array_rows(path)


def test_a_header_that_declares_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.npz", make_arrays())
    path = tmp_path / "cells.npz"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"'shape': (3, 4, 5)", b"'shape': (9, 4, 5)"))
    with pytest.raises(DataError, match=r"\(.npz\): train_images.npy declares 180 bytes and holds 60$"):
        array_rows(path)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("train_images[3]", r"has no train_images\[3\]; train_images holds 3 images; run `radpath scan` again"),
        ("train_labels[0]", "names no image of an array file"),
        ("train_images[-1]", "names no image of an array file"),
    ],
)
def test_a_member_that_is_not_there_is_named(tmp_path: Path, member: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_member(save(tmp_path / "cells.npz", make_arrays()), member)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^there is no array file .*none.npz$"):
        read_member(tmp_path / "none.npz", "train_images[0]")


@pytest.mark.parametrize(
    ("name", "sides", "channels"), [("breastmnist", (546, 78, 156), 1), ("retinamnist", (1080, 120, 400), 3)]
)
def test_medmnist_has_its_official_split(shared_data: Path, name: str, sides: tuple[int, ...], channels: int) -> None:
    rows = array_rows(shared_data / "medmnist28" / f"{name}.npz")
    found = [row["split"] for row in rows]
    assert tuple(found.count(side) for side in ("train", "validation", "test")) == sides
    assert {(row["width_px"], row["height_px"], row["channels"]) for row in rows} == {(28, 28, channels)}
