"""Tests of what a split never divides, and what it balances."""

from pathlib import Path

from radpath.data.groups import amounts_of_groups, sorted_with_groups, what_ties
from radpath.data.manifest import Manifest

ROWS: list[dict[str, object]] = [
    {"record_id": "a", "case": "1", "label": "x", "site": "north", "near_duplicates": "a"},
    {"record_id": "b", "case": "2", "label": "y", "site": "south", "near_duplicates": "a"},
    {"record_id": "c", "case": "3", "label": "x", "site": "north"},
    {"record_id": "d", "case": "4", "label": "y", "site": None},
    {"record_id": "e", "case": "4", "label": "x", "site": None},
]
TABLE = Manifest.from_rows(Path(), ROWS).table


def groups(*tied_by: str) -> list[int]:
    return sorted_with_groups(TABLE, tied_by=tied_by)["group"].to_list()


def test_cases_alone_are_the_groups_where_nothing_ties_them() -> None:
    assert groups() == [0, 1, 2, 3, 3]


def test_near_duplicates_tie_their_cases() -> None:
    assert groups("near_duplicates") == [0, 0, 1, 2, 2]


def test_a_site_ties_its_cases_and_an_unknown_site_ties_nothing() -> None:
    assert groups("site") == [0, 1, 0, 2, 2]
    assert groups("site", "near_duplicates") == [0, 0, 0, 1, 1]


def test_a_column_that_is_missing_ties_nothing() -> None:
    assert groups("never_heard_of") == groups()


def test_amounts_are_images_and_cases_of_each_class_and_all_cases() -> None:
    amounts = amounts_of_groups(sorted_with_groups(TABLE, tied_by=("site",))).toarray()
    assert amounts.tolist() == [[2, 0, 2, 0, 2], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1]]


def test_what_ties_cases_is_said_in_words() -> None:
    tied_by = ("near_duplicates", "site")
    assert what_ties(TABLE, tied_by=tied_by) == "nearly identical images and split.apart_by = 'site'"


def test_an_image_with_several_labels_counts_for_each() -> None:
    rows = [
        {"record_id": "a", "case": "1", "label": "{x=1|y=1}"},
        {"record_id": "b", "case": "1", "label": "{x=1|y=0}"},
        {"record_id": "c", "case": "2", "label": "{x=0|y=?}"},
    ]
    amounts = amounts_of_groups(sorted_with_groups(Manifest.from_rows(Path(), rows).table)).toarray()
    # images and cases, each of none, x and y; and all cases
    assert amounts.tolist() == [[0, 2, 1, 0, 1, 1, 1], [1, 0, 0, 1, 0, 0, 1]]
