"""Tests of the page that describes a study."""

from pathlib import Path

import pytest

from radpath.data.synthetic import SyntheticStudy
from radpath.recipes.describe import describe_images


def test_a_description_shows_classes_samples_sizes_and_exclusions(
    small_study: SyntheticStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = f"data.name_pattern={small_study.name_pattern}"
    page = describe_images(
        small_study.images, labels=small_study.labels, assignments=[pattern], out=tmp_path / "out", command="radpath"
    )
    text = page.read_text(encoding="utf-8")
    for words in ("in_situ", "Sample images", "Excluded images", "truncated", 'id="figure-sizes"', "Classes by stain"):
        assert words in text
    assert "Description: " in capsys.readouterr().out


def test_images_without_labels_are_described_too(small_study: SyntheticStudy, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in sorted(small_study.images.rglob("*.png"))[:4]:
        (flat / path.name).write_bytes(path.read_bytes())
    page = describe_images(flat, labels=None, assignments=[], out=tmp_path / "out", command="radpath")
    assert "no label" in page.read_text(encoding="utf-8")


def test_an_image_that_is_gone_is_a_grey_square(tmp_path: Path) -> None:
    from radpath.data.inputs import DataSettings
    from radpath.data.manifest import Manifest
    from radpath.recipes.describe import Pictures

    manifest = Manifest.from_rows(tmp_path, [{"record_id": "a", "path": "a.png"}])
    pictures = Pictures(manifest, DataSettings(images=tmp_path))
    assert pictures.of("a") == pictures.of("never heard of")
