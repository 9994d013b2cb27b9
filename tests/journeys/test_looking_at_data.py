"""``scan`` and ``split`` on their own: what is written, that they can be run again, and when they stop."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from radpath.data.synthetic import SyntheticStudy

Program = Callable[..., "subprocess.CompletedProcess[str]"]
WritePng = Callable[[Path, int], None]


def sides_of(folder: Path) -> dict[str, str]:
    with (folder / "splits.csv").open(newline="", encoding="utf-8") as table:
        return {row["record_id"]: row["split"] for row in csv.DictReader(table)}


def words_for(study: SyntheticStudy) -> tuple[object, ...]:
    return (study.images, "--labels", study.labels, "--set", f"data.name_pattern={study.name_pattern}")


def test_scan_tells_of_every_fault_and_can_be_run_again(
    tmp_path: Path, program: Program, small_study: SyntheticStudy
) -> None:
    results = [program("scan", *words_for(small_study), "--out", tmp_path / "look") for _ in range(2)]
    assert [result.returncode for result in results] == [0, 0]
    assert results[0].stdout == results[1].stdout
    for fault in small_study.faults:
        named = (fault.files[-1:] or fault.cases)[0]
        assert named in results[0].stdout or fault.kind in {"identical-file", "identical-pixels", "not-an-image"}
    manifest = pl.read_parquet(tmp_path / "look" / "manifest.parquet")
    assert set(manifest["record_id"]) == {name for name in small_study.truth if name.endswith(".png")}
    assert (tmp_path / "look" / "exclusions.csv").read_text(encoding="utf-8").startswith("record_id,case,label,split,")


def test_scan_of_a_flat_folder_needs_no_labels(tmp_path: Path, program: Program, small_study: SyntheticStudy) -> None:
    result = program("scan", small_study.images, "--out", tmp_path / "look")
    assert result.returncode == 0, result.stderr
    assert "no labels" in result.stdout
    assert "truncated or damaged" in result.stdout


def test_split_keeps_cases_and_identical_images_together_and_can_be_run_again(
    tmp_path: Path, program: Program, small_study: SyntheticStudy
) -> None:
    folder = tmp_path / "split"
    for _ in range(2):
        assert program("split", *words_for(small_study), "--out", folder).returncode == 0
    with (folder / "splits.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    sides_of_case: dict[str, set[str]] = {}
    for row in rows:
        sides_of_case.setdefault(row["case"], set()).add(row["split"])
    assert all(len(sides) == 1 for sides in sides_of_case.values())
    sides = sides_of(folder)
    assert set(sides.values()) == {"train", "validation", "test"}
    for fault in small_study.faults:
        if fault.kind in {"identical-file", "identical-pixels"}:
            assert len({sides[name] for name in fault.files}) == 1
    assert json.loads((folder / "split.json").read_text(encoding="utf-8"))["seed"] == 0


def test_listed_cases_stand_where_they_were_listed(
    tmp_path: Path, program: Program, small_study: SyntheticStudy
) -> None:
    cases = sorted({name[:8] for name in small_study.truth if name.endswith(".png")})
    wanted = dict(zip(cases, ["train"] * 12 + ["validation"] * 4 + ["test"] * 4, strict=False))
    lists = [
        word
        for side in ("train", "validation", "test")
        for word in ("--set", f"split.{side}_cases={json.dumps([case for case in wanted if wanted[case] == side])}")
    ]
    result = program("split", *words_for(small_study), *lists, "--set", "split.leaks=exclude", "--out", tmp_path / "s")
    assert result.returncode == 0, result.stderr
    sides = sides_of(tmp_path / "s")
    assert sides == {name: wanted[name[:8]] for name in sides}
    assert set(sides.values()) == {"train", "validation", "test"}


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Validation", "Testing")])
def test_other_names_of_sides(tmp_path: Path, program: Program, write_png: WritePng, names: tuple[str, ...]) -> None:
    for name in names:
        for place in range(2):
            write_png(tmp_path / "images" / name / "a" / f"{place}.png", 20)
            write_png(tmp_path / "images" / name / "b" / f"{place}.png", 180)
    assert program("split", tmp_path / "images", "--out", tmp_path / "split").returncode == 0
    of_name = dict(zip(names, ("train", "validation", "test"), strict=True))
    sides = sides_of(tmp_path / "split")
    assert len(sides) == 12
    assert sides == {record: of_name[record.split("/")[0]] for record in sides}


def test_an_identical_image_on_two_sides_stops_and_is_named(tmp_path: Path, program: Program, array_file: Path) -> None:
    result = program("split", array_file, "--out", tmp_path / "split")
    assert result.returncode == 4
    assert "1 identical image stands on two sides of the split; set split.leaks to 'exclude'" in result.stderr
    assert "train tiny.npz#train_images[0] (0) = test tiny.npz#test_images[0] (0)" in result.stderr
    assert not (tmp_path / "split").exists()


@pytest.mark.parametrize("leaks", ["stop", "exclude", "allow"])
def test_a_case_on_two_sides_always_stops(tmp_path: Path, program: Program, write_png: WritePng, leaks: str) -> None:
    lines = ["path,label,case,split"]
    for place in range(12):
        write_png(tmp_path / "images" / f"{place}.png", 20 + 160 * (place % 2))
        side = ("train", "validation", "test")[place // 4]
        lines.append(f"{place}.png,{place % 2},p{place % 10},{side}")  # p0 and p1 come back in the test
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    words = (tmp_path / "images", "--labels", tmp_path / "labels.csv", "--set", f"split.leaks={leaks}")
    result = program("split", *words, "--out", tmp_path / "split")
    assert result.returncode == 4
    assert "2 cases on two sides of the split: p0 (train, test), p1 (train, test)" in result.stderr
    assert not (tmp_path / "split").exists()


def test_looking_at_data_never_replaces_the_files_of_a_run(
    program: Program, small_study: SyntheticStudy, finished_run: Path
) -> None:
    before = (finished_run / "exclusions.csv").read_bytes()
    for command in ("scan", "split"):
        result = program(command, *words_for(small_study), "--out", finished_run)
        assert result.returncode == 7
        assert f"{finished_run} holds a run, whose files would be replaced" in result.stderr
    assert (finished_run / "exclusions.csv").read_bytes() == before


def test_only_settings_of_data_and_split_matter(tmp_path: Path, program: Program, small_study: SyntheticStudy) -> None:
    result = program("scan", small_study.images, "--set", "training.epochs=5", "--out", tmp_path / "look")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "radpath: --set training: only settings of [data] and [split] matter here\n"
