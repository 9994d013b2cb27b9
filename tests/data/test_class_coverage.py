"""Whether every class is on every side."""

from pathlib import Path

import pytest

from radpath.data.class_coverage import describe_classes, require_a_case_for_each_side
from radpath.data.manifest import Manifest
from radpath.errors import DataError


def manifest_of(sets: list[tuple[str, str]]) -> Manifest:
    rows = [
        {"record_id": f"{number}.png", "case": str(number), "label": label, "split": side}
        for number, (label, side) in enumerate(sets)
    ]
    return Manifest.from_rows(Path("images"), rows)


def test_a_label_needs_a_case_for_each_side() -> None:
    kept = manifest_of([("{a=1|b=0}", "train")] * 3 + [("{a=0|b=1}", "train")] * 2).kept
    with pytest.raises(DataError, match=r"^class 'b' has 2 cases, but train, validation and test need one each"):
        require_a_case_for_each_side(kept, ("a", "b"), ())


def test_a_label_that_is_never_there_cannot_be_learned_and_elsewhere_warns() -> None:
    there, absent = "{a=1|b=1}", "{a=1|b=0}"
    findings = describe_classes(manifest_of([(there, "train"), (absent, "validation"), (there, "test")]), ("a", "b"))
    assert [finding.message for finding in findings] == [
        "the validation side has no image of 'b'; give that side such cases"
    ]
    with pytest.raises(DataError, match=r"^the train side has no image of 'b'; .* it cannot be learned$"):
        describe_classes(manifest_of([(absent, "train"), (there, "validation"), (there, "test")]), ("a", "b"))
