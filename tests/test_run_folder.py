"""One run, one folder: never two runs in one, and no step on top of something else than it was made from."""

import errno
import os
from pathlib import Path

import pytest

from radpath.errors import DataError, StaleError, StorageError
from radpath.run_folder import RunFolder


def names_of_files() -> list[str]:
    """The properties of a run folder that are paths, in the order of their declaration."""
    return [name for name, member in vars(RunFolder).items() if isinstance(member, property)]


def test_a_new_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs" / "first")
    assert folder.root.is_dir()
    assert RunFolder.create(folder.root) == folder  # still empty


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("three years")
    message = r" is not empty; continue that run with --resume, or choose another with --out$"
    with pytest.raises(StorageError, match=message):
        RunFolder.create(tmp_path)
    assert (tmp_path / "thesis.docx").read_text() == "three years"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError, match=r"run is a file; choose another folder with --out$"):
        RunFolder.create(tmp_path / "run")
    with pytest.raises(StorageError, match=r"a part of this path is a file, not a folder"):
        RunFolder.create(tmp_path / "run" / "1")


@pytest.mark.parametrize("moment", ["mkdir", "exists"])
@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EROFS, "the disk is read-only"), (errno.EACCES, "permission denied")]
)
def test_a_folder_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, number: int, reason: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, moment, refuse)
    with pytest.raises(StorageError, match=rf"^cannot write .*run: {reason}; choose another folder with --out$"):
        RunFolder.create(tmp_path / "run")


def test_only_the_folder_of_a_run_is_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^there is no run folder .*none; `radpath fit` or `radpath train` makes one$"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(DataError, match=r" holds no run: experiment\.toml is missing; "):
        RunFolder.open(tmp_path)
    (tmp_path / "experiment.toml").write_text("")
    assert RunFolder.open(tmp_path).root == tmp_path


def test_every_file_has_its_own_name_inside_the_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    paths = [getattr(folder, name) for name in names_of_files()]
    assert len({path.name for path in paths}) == len(paths) > 15
    assert {path.parent for path in paths} == {tmp_path}


def test_a_step_is_stamped_with_what_it_was_made_from(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.stamp("train", {"images": "aa", "settings": "bb"})
    folder.stamp("evaluate", {"predictions": "cc"})
    folder.stamp("train", {"images": "dd"})
    again = RunFolder(folder.root)
    assert again.stamped("train") == {"images": "dd"}
    assert again.stamped("evaluate") == {"predictions": "cc"}


def test_a_step_that_was_not_done_has_no_stamp(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    message = r"run: the step 'train' is not finished; run `radpath train --resume` on it$"
    with pytest.raises(DataError, match=message):
        folder.stamped("train")
    folder.stamp("split", {})
    with pytest.raises(DataError, match=message):
        folder.require_fresh("train", {}, remedy="train again")


def test_what_changed_is_named(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.stamp("train", {"images": "1", "labels": "2", "settings": "3"})
    folder.require_fresh("train", {"images": "1", "settings": "3"}, remedy="train again")
    with pytest.raises(StaleError, match=r"run: labels changed since 'train' was done; train again$"):
        folder.require_fresh("train", {"images": "1", "labels": "9"}, remedy="train again")
    with pytest.raises(StaleError, match=r"run: images and settings changed since 'train' was done; train again$"):
        folder.require_fresh("train", {"images": "0", "labels": "2", "settings": "0"}, remedy="train again")


def test_what_a_step_did_not_use_cannot_make_it_stale(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    folder.stamp("train", {"images": "1"})
    folder.require_fresh("train", {"images": "1", "weights": "5"}, remedy="train again")


def test_damaged_stamps_are_said(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.stamps.write_text("{")
    with pytest.raises(DataError, match=r"stamps\.json cannot be read as JSON"):
        folder.stamped("train")
