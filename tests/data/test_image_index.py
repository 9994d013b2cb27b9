"""Finding the image that a table means."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.image_index import ImageIndex, match_cases


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    record_ids = ["wbc/1.png", "wbc/2.png", "rbc/2.png", "rbc/3.v2.png", "top.png"]
    return ImageIndex(record_ids, folder=tmp_path / "images", table_folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "record_id"),
    [
        ("wbc/2.png", "wbc/2.png"),
        ("./wbc//2.png", "wbc/2.png"),
        ("wbc\\2.png", "wbc/2.png"),
        ("images/wbc/2.png", "wbc/2.png"),
        ("images/rbc/../wbc/2.png", "wbc/2.png"),
        ("wbc/2", "wbc/2.png"),
        ("1.png", "wbc/1.png"),
        ("1", "wbc/1.png"),
        ("3.v2", "rbc/3.v2.png"),
        ("top", "top.png"),
        ("2.png", None),
        ("2", None),
        ("3", None),
        ("1.jpg", None),
        ("other/1.png", None),
        ("../wbc/2.png", None),
        ("", None),
    ],
)
def test_a_text_names_one_image_or_none(index: ImageIndex, text: str, record_id: str | None) -> None:
    assert index.find(text) == record_id


def test_a_whole_path_must_lead_into_the_images_folder(index: ImageIndex, tmp_path: Path) -> None:
    assert index.find(str(tmp_path / "images" / "wbc" / "2.png")) == "wbc/2.png"
    assert index.find(str(tmp_path / "elsewhere" / "wbc" / "2.png")) is None


def test_a_whole_path_may_go_through_a_link_or_around_it(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "images", target_is_directory=True)
    index = ImageIndex(["1.png"], folder=tmp_path / "link", table_folder=Path())
    assert index.find(str(tmp_path / "link" / "1.png")) == index.find(str(tmp_path / "images" / "1.png")) == "1.png"


def test_a_name_that_two_images_have_is_known_to_fit_several(index: ImageIndex) -> None:
    assert index.fits_several("2")
    assert not index.fits_several("wbc/2")
    assert not index.fits_several("9")


def test_accents_match_however_they_are_stored(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "béla.png")
    index = ImageIndex([decomposed], folder=tmp_path, table_folder=tmp_path)
    assert index.find("béla.png") == decomposed
    assert index.find("béla") == decomposed


@given(st.sets(st.from_regex(r"[a-c]/[a-c]{1,2}\.(png|tif)", fullmatch=True), min_size=1), st.data())
@settings(max_examples=50, deadline=None)
def test_a_short_name_finds_an_image_exactly_where_one_alone_has_it(paths: set[str], data: st.DataObject) -> None:
    index = ImageIndex(sorted(paths), folder=Path("images"), table_folder=Path())
    stem = Path(data.draw(st.sampled_from(sorted(paths)))).stem
    owners = [path for path in paths if Path(path).stem == stem]
    assert index.find(stem) == (owners[0] if len(owners) == 1 else None)
    assert index.fits_several(stem) == (len(owners) > 1)
    assert all(index.find(path) == path for path in paths)


@pytest.mark.parametrize(
    ("in_names", "in_table", "matches"),
    [
        (["A1"], ["A1", "a1"], {"A1": "A1"}),
        (["007"], ["7"], {"007": "7"}),
        (["7"], ["007"], {"7": "007"}),
        (["000"], ["0"], {"000": "0"}),
        (["007"], ["7", "07"], {}),
        (["007", "07"], ["7"], {}),
        (["007", "7"], ["7"], {"7": "7"}),
        (["A7"], ["7"], {}),
        (["\u0667"], ["7"], {}),
    ],
)
def test_cases_match_by_text_or_by_an_unambiguous_number(
    in_names: list[str], in_table: list[str], matches: dict[str, str]
) -> None:
    assert match_cases(in_names, in_table) == matches


CASES = st.lists(st.from_regex(r"0?[0-3]", fullmatch=True), max_size=6)


@given(CASES, CASES)
@settings(max_examples=50, deadline=None)
def test_no_two_cases_become_one(in_names: list[str], in_table: list[str]) -> None:
    matches = match_cases(in_names, in_table)
    assert len(set(matches.values())) == len(matches)
    assert all(int(name) == int(case) for name, case in matches.items())
    assert all(matches[name] == name for name in set(in_names) & set(in_table))


def test_a_relative_table_folder_is_taken_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = ImageIndex(["1.png"], folder=Path("images"), table_folder=Path("tables"))
    assert index.find("../images/1.png") == "1.png"
