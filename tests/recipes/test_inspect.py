"""Where looks at data are written, and what they say; the journeys look at the rest."""

from pathlib import Path

import pytest

from radpath.data.manifest import Manifest
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import SettingsError, StorageError
from radpath.recipes.inspect import scan_images, split_images
from radpath.records import SIDES


def test_looks_go_below_runs_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_study: SyntheticStudy
) -> None:
    monkeypatch.chdir(tmp_path)
    assert scan_images(small_study.images, labels=None, assignments=[], out=None) == Path("runs/images-scan")
    manifest = Manifest.read(Path("runs/images-scan/manifest.parquet"), images=small_study.images)
    assert len(manifest.excluded) == 2


def test_the_sides_are_told_as_a_table(
    tmp_path: Path, small_study: SyntheticStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = [f"data.name_pattern={small_study.name_pattern}"]
    split = split_images(small_study.images, labels=small_study.labels, assignments=pattern, out=tmp_path / "s")
    lines = capsys.readouterr().out.split("Images of each class on each side\n")[1].splitlines()
    assert lines[0].split() == [*split.classes, "images", "cases"]
    for line, side in zip(lines[1:], SIDES, strict=False):
        counts = [split.audit.images_per_class[name][side] for name in split.classes]
        assert line.split() == [side, *map(str, counts), str(sum(counts)), str(split.audit.num_cases[side])]


def test_wrong_settings_and_folders_in_use_are_refused_first(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").touch()
    with pytest.raises(StorageError, match=r"holds a run, whose files would be replaced; choose another folder"):
        scan_images(tmp_path / "none", labels=None, assignments=[], out=tmp_path)
    with pytest.raises(SettingsError, match=r"^--set split: unknown setting 'leek'; did you mean 'leaks'\?$"):
        split_images(tmp_path / "none", labels=None, assignments=["split.leek=stop"], out=None)
    message = r"^--set model: only settings of \[data\], \[split\] and \[audit\] matter here$"
    with pytest.raises(SettingsError, match=message):
        split_images(tmp_path / "none", labels=None, assignments=["model.freeze=all"], out=None)
