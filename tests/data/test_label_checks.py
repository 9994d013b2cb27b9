"""What is asked of labels before anything is split."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from radpath.data.label_checks import checked_labels
from radpath.data.manifest import Manifest
from radpath.errors import DataError


def manifest_of(labels: Sequence[str | None]) -> Manifest:
    rows = [{"record_id": f"{number}.png", "label": label} for number, label in enumerate(labels)]
    return Manifest.from_rows(Path("images"), rows)


def test_sets_of_labels_may_differ_inside_a_case() -> None:
    rows = [{"record_id": f"{name}.png", "case": "1", "label": f"{{a={name}|b={1 - name}}}"} for name in (0, 1)]
    assert checked_labels(Manifest.from_rows(Path("images"), rows)).findings == ()


def test_an_image_of_which_nothing_is_known_is_excluded() -> None:
    checked = checked_labels(manifest_of(["{a=1|b=0}", None, "{a=0|b=1}"]))
    assert checked.excluded["reason"].to_list() == ["no label"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["{a=1|b=0}", "{a=0|b=?}"], r"^no image is known to be with 'b', so that it cannot be learned; leave that"),
        (["{a=1|b=0}", "{a=1|b=1}"], r"^no image is known to be without 'a'"),
        (["benign", "{a=1|b=1}x", "{a=1}"], r"^a class is called '\{a=1\}', which is how sets of labels are written"),
        (["{a=1}", "{a=0}"], "the only class is 'a'"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(labels: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        checked_labels(manifest_of(labels))
