"""Identical images are found by file and by pixels, through any chain of copies."""

from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data.manifest import Manifest
from radpath.data.twins import describe_duplicates, identical_sets, tied_cases

Row = tuple[int, int | None, int | None]
digests = st.none() | st.integers(0, 9)
rows = st.lists(st.tuples(st.integers(0, 9), digests, digests), min_size=1, max_size=20)


def as_table(table_rows: list[Row]) -> pl.DataFrame:
    texts = [[None if value is None else str(value) for value in row] for row in table_rows]
    return pl.DataFrame(texts, schema=dict.fromkeys(("case", "file_digest", "pixel_digest"), pl.String), orient="row")


def joined_by_hand(table_rows: list[Row], *columns: int) -> list[set[int]]:
    """Merge sets of rows until none shares a value with another: slow, and plainly right."""
    sets = [{number} for number in range(len(table_rows))]

    def share(one: set[int], other: set[int]) -> bool:
        return any(table_rows[a][c] == table_rows[b][c] is not None for a in one for b in other for c in columns)

    while pair := next(((a, b) for a in sets for b in sets if a is not b and share(a, b)), None):
        sets = [s for s in sets if s not in pair] + [pair[0] | pair[1]]
    return sets


def as_sets(numbers: list[int]) -> list[set[int]]:
    return [{row for row, number in enumerate(numbers) if number == wanted} for wanted in set(numbers)]


@settings(max_examples=50, deadline=None)
@given(rows)
def test_identical_images_are_those_a_slow_merge_joins(table_rows: list[Row]) -> None:
    found = as_sets(identical_sets(as_table(table_rows)).tolist())
    assert sorted(map(sorted, found)) == sorted(map(sorted, joined_by_hand(table_rows, 1, 2)))


@settings(max_examples=50, deadline=None)
@given(rows)
def test_cases_are_tied_as_a_slow_merge_ties_them(table_rows: list[Row]) -> None:
    found = as_sets(tied_cases(as_table(table_rows)).tolist())
    assert sorted(map(sorted, found)) == sorted(map(sorted, joined_by_hand(table_rows, 0, 1, 2)))


def test_no_rows_have_no_numbers() -> None:
    assert identical_sets(as_table([])).tolist() == []


def test_a_file_and_a_pixel_digest_of_equal_text_are_not_the_same() -> None:
    assert len(set(identical_sets(as_table([(0, 1, None), (1, None, 1)])))) == 2


def test_duplicates_are_counted_and_disputed_labels_named() -> None:
    table = Manifest.from_rows(
        Path(),
        [
            {"record_id": "a", "label": "benign", "file_digest": "1"},
            {"record_id": "b", "label": "malignant", "file_digest": "1"},
            {"record_id": "c", "label": "benign", "file_digest": "1"},
            {"record_id": "d", "label": "benign", "pixel_digest": "2"},
            {"record_id": "e", "label": "benign", "pixel_digest": "2"},
            {"record_id": "f", "label": "benign", "pixel_digest": "3"},
        ],
    ).table
    duplicates, disputed = describe_duplicates(table, treatment="kept")
    assert (duplicates.kind, duplicates.severity, duplicates.count) == ("duplicate-images", "note", 5)
    assert duplicates.message == "5 images in 2 sets are identical (same file or same pixels); kept"
    assert duplicates.examples == ("a = b and 1 more", "d = e")
    assert (disputed.severity, disputed.count) == ("warning", 1)
    assert disputed.kind == "duplicate-images-with-different-labels"
    assert disputed.examples == ("a (benign) = b (malignant)",)


def test_no_duplicates_count_nothing() -> None:
    table = Manifest.from_rows(Path(), [{"record_id": "a"}, {"record_id": "b"}]).table
    assert [finding.count for finding in describe_duplicates(table, treatment="kept")] == [0, 0]
