from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from radpath.data.inputs import DataSettings
from radpath.data.manifest import Manifest
from radpath.data.scan import scan
from radpath.models.classifier import Link
from radpath.recipes.seen import Seen, joined, spread_of

NAMES = ("a.png", "b.png", "c.png")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    for number, name in enumerate(NAMES):
        Image.fromarray(np.full((20, 20), 40 * number, dtype=np.uint8)).save(tmp_path / name)
    return scan(DataSettings(images=tmp_path))


def looked(
    manifest: Manifest,
    rows: Sequence[Sequence[float]],
    *,
    classes: tuple[str, ...] = ("x", "y"),
    distance: Sequence[float] | None = None,
    link: Link = "softmax",
) -> Seen:
    return Seen(
        manifest=manifest,
        classes=classes,
        link=link,
        probabilities=np.array(rows),
        views=None,
        members=None,
        distance=None if distance is None else np.array(distance),
    )


def test_members_are_averaged_by_class_and_record_and_their_spread_is_told(manifest: Manifest) -> None:
    first = looked(manifest, [[1.0, 0.0], [0.6, 0.4], [0.5, 0.5]], distance=[0.2, 0.4, 2.0])
    fewer = manifest.exclude({"b.png": "damaged: gone"}, reason="damaged")
    second = looked(fewer, [[0.4, 0.6], [0.5, 0.5]], classes=("y", "x"), distance=[0.6, 4.0])
    both = joined([first, second], [3.0, 1.0])
    assert both.manifest.kept["record_id"].to_list() == ["a.png", "c.png"]
    assert both.probabilities == pytest.approx(np.array([[0.9, 0.1], [0.5, 0.5]]))
    assert both.distance == pytest.approx([0.3, 2.5])
    assert both.members is not None
    assert both.members.deviation == pytest.approx([np.sqrt(0.75 * 0.1**2 + 0.25 * 0.3**2), 0])
    columns = {column.name: column.to_list() for column in both.columns()}
    assert list(columns) == ["entropy", "member_deviation", "member_mutual_information", "distance", "unlike_training"]
    assert columns["unlike_training"] == [False, True]


def test_members_without_a_distance_leave_none(manifest: Manifest) -> None:
    known = looked(manifest, [[0.5, 0.5]] * 3, distance=[1.0, 1.0, 1.0])
    assert joined([known, looked(manifest, [[0.5, 0.5]] * 3)], [1.0, 1.0]).distance is None


def test_images_beyond_the_distance_are_named_the_farthest_first(manifest: Manifest) -> None:
    finding = looked(manifest, [[0.5, 0.5]] * 3, distance=[1.5, 0.5, 3.0]).unlike_training()
    assert finding is not None
    assert finding.count == 2
    assert finding.examples == ("c.png: distance 3.00", "a.png: distance 1.50")
    assert looked(manifest, [[0.5, 0.5]] * 3).unlike_training() is None


def test_doubt_about_several_labels_is_the_mean_over_them(manifest: Manifest) -> None:
    rows = np.array([[0.9, 0.2], [0.5, 0.5], [1.0, 0.0]])
    found = looked(manifest, rows.tolist(), link="sigmoid")
    each = stats.entropy(np.stack([rows, 1 - rows]), base=2, axis=0)
    assert found.entropy == pytest.approx(each.mean(axis=1))
    views = np.stack([rows, rows[::-1]])
    assert spread_of(views, link="sigmoid").deviation == pytest.approx(views.std(axis=0).mean(axis=1))
