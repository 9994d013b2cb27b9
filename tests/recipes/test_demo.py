"""The demo finds every fault that it plants, says where, and refuses what it cannot do before it draws."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from radpath.data.synthetic import PlantedFault, SizeRange, SyntheticStudy
from radpath.errors import SettingsError, StorageError
from radpath.recipes.demo import demonstrate, where_reported
from radpath.run_folder import RunFolder

Program = Callable[..., "subprocess.CompletedProcess[str]"]

TOLD = {
    "truncated": "exclusions.csv: truncated or damaged",
    "one-pixel": "exclusions.csv: too small",
    "identical-file": "findings.json: 4 images in 2 sets are identical (same file or same pixels)",
    "identical-pixels": "findings.json: 4 images in 2 sets are identical (same file or same pixels)",
    "not-an-image": "findings.json: 1 other file: .txt (1)",
    "case-without-label": "exclusions.csv: no label",
    "case-with-two-labels": "exclusions.csv: two labels",
    "label-without-images": "findings.json: 1 row of labels.csv without an image",
}


def test_every_planted_fault_is_reported_somewhere(finished_run: Path, small_study: SyntheticStudy) -> None:
    assert {fault.kind for fault in small_study.faults} == set(TOLD)
    for fault in small_study.faults:
        assert where_reported(fault, RunFolder(finished_run)).startswith(TOLD[fault.kind])


def test_a_fault_that_nobody_found_is_called_so(finished_run: Path) -> None:
    unknown = PlantedFault(kind="truncated", files=("case_999_he_0001.png",), cases=("case_999",), message="unseen")
    assert where_reported(unknown, RunFolder(finished_run)) == "NOT FOUND"


def test_the_demo_ends_with_a_table_of_faults_and_the_report(
    tmp_path: Path, fast: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = demonstrate(
        out=tmp_path / "demo",
        assignments=list(fast[1::2]),
        command="radpath demo",
        cases_per_class=4,
        sizes=SizeRange(smallest_px=24, median_px=32, largest_px=48),
    )
    told = capsys.readouterr().out
    table = told.split("Planted faults, and where radpath reported them\n")[1]
    for kind, where in TOLD.items():
        assert f"  {kind}" in table
        assert f"-> {where}" in table
    assert "NOT FOUND" not in told
    assert told.rstrip().endswith(f"Report: {folder.report}")
    assert folder.report.is_file()
    with pytest.raises(StorageError, match=r"demo is there already; delete it, or choose another folder with --out$"):
        demonstrate(out=tmp_path / "demo", assignments=[], command="")


def test_a_wrong_setting_is_told_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"did you mean 'training.epochs'\?$"):
        demonstrate(out=tmp_path / "demo", assignments=["training.epoch=1"], command="")
    assert not (tmp_path / "demo").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path, program: Program) -> None:
    (tmp_path / "demo").write_text("mine", encoding="utf-8")
    result = program("demo", "--out", tmp_path / "demo")
    assert (result.returncode, result.stdout) == (7, "")
    assert result.stderr.endswith("demo is there already; delete it, or choose another folder with --out\n")
