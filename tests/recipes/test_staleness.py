"""What changed since a run began is found by content, counted and named."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from radpath.data.manifest import Manifest
from radpath.errors import DataError, StaleError
from radpath.recipes.experiment import compose_experiment
from radpath.recipes.staleness import changed_data, require_same_data, require_same_settings, stamp_settings
from radpath.run_folder import RunFolder

BARE = {"data": {"images": "images"}}


def manifest(**changes: Mapping[str, object]) -> Manifest:
    rows: dict[str, dict[str, object]] = {
        name: {"record_id": name, "file_digest": name, "case": "1", "label": "x", "split": "train"} for name in "abcde"
    }
    for name, change in changes.items():
        rows[name] = {**rows.get(name, {"record_id": name}), **change}
    return Manifest.from_rows(Path(), list(rows.values()))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run")


def test_unchanged_settings_pass_also_on_another_device(folder: RunFolder) -> None:
    stamp_settings(folder, compose_experiment(BARE, []))
    require_same_settings(
        folder, compose_experiment(BARE, ["device.device=cpu", "device.precision=bf16-mixed", "data.ray=local"])
    )


def test_changed_settings_are_named_with_both_values(folder: RunFolder) -> None:
    stamp_settings(folder, compose_experiment(BARE, []))
    now = compose_experiment(BARE, ["training.epochs=3", "question=Is it?"])
    with pytest.raises(StaleError, match=r"run: the settings changed since this run began: ") as refusal:
        require_same_settings(folder, now)
    assert "question was '' and is 'Is it?'; training.epochs was 14 and is 3; start a new run" in str(refusal.value)


def test_a_run_without_a_stamp_is_no_run(folder: RunFolder) -> None:
    with pytest.raises(DataError, match=r"the step 'settings' is not finished"):
        require_same_settings(folder, compose_experiment(BARE, []))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (manifest(), []),
        (manifest(f={"case": "9"}), ["1 image added (f)"]),
        (manifest(a={"file_digest": "new"}), ["1 image with other content (a)"]),
        (manifest(a={"label": "y"}, b={"label": None}), ["2 images with another label (a, b)"]),
        (manifest(c={"case": "2"}), ["1 image with another case (c)"]),
        (manifest(**{name: {"split": "test"} for name in "abcde"}), ["5 images on another side (a, b, c, …)"]),
        (manifest(e={"status": "excluded"}), ["1 image excluded or taken back (e)"]),
        (
            manifest(a={"label": "y", "split": "test"}),
            ["1 image with another label (a)", "1 image on another side (a)"],
        ),
    ],
)
def test_each_kind_of_change_is_told_with_examples(now: Manifest, said: list[str]) -> None:
    assert changed_data(manifest(), now) == said
    undone = [words.replace("added", "removed") for words in said]
    assert changed_data(now, manifest()) == undone


def test_other_data_stop_a_run(folder: RunFolder) -> None:
    manifest().write(folder.manifest)
    require_same_data(folder, manifest())
    message = (
        r"run: the data changed since this run began: 1 image with other content \(a\); start a new run with another"
    )
    with pytest.raises(StaleError, match=message):
        require_same_data(folder, manifest(a={"file_digest": "new"}))
