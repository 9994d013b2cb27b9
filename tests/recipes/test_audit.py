"""Tests of the audit as a command."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from radpath.errors import SettingsError
from radpath.recipes.audit import audit_images


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two sides and classes of noise, with a flipped training image in the test, and JPEG for one class only."""
    generator = np.random.default_rng(0)
    for side in ("train", "test"):
        for label, suffix in (("benign", "png"), ("malignant", "jpg")):
            folder = tmp_path / "study" / side / label
            folder.mkdir(parents=True)
            for number in range(8):
                blobs = generator.integers(40, 200, (12, 12)).astype(np.uint8)
                picture = Image.fromarray(blobs).resize((48, 48), Image.Resampling.BICUBIC)
                picture.save(folder / f"{side}{number}.{suffix}", quality=95)
    original = Image.open(tmp_path / "study" / "train" / "benign" / "train3.png")
    original.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "study" / "test" / "malignant" / "copy.jpg")
    return tmp_path / "study"


def test_an_audit_writes_a_page_and_two_tables(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = audit_images(study, labels=None, assignments=[], out=tmp_path / "out", command="radpath audit study")
    assert page == tmp_path / "out" / "audit.html"
    assert "two sides" in page.read_text(encoding="utf-8")
    pairs = pl.read_csv(tmp_path / "out" / "near_duplicates.csv")
    assert pairs.select("record_id_first", "label_first", "side_first").rows() == [
        ("test/malignant/copy.jpg", "malignant", "test")
    ]
    assert pairs.select("record_id_second", "label_second").rows() == [("train/benign/train3.png", "benign")]
    columns = pl.read_csv(tmp_path / "out" / "confounders.csv")
    assert columns.filter(pl.col("alarm") & (pl.col("question") == "label"))["column"].to_list()[0] == "format"
    told = capsys.readouterr().out
    assert "the label can be told from format (AUC 1.00" in told
    assert "1 pair of nearly identical images on two sides of the split" in told


def test_what_is_not_asked_is_not_on_the_page(study: Path, tmp_path: Path) -> None:
    wishes = ["audit.near_duplicates=skip", "audit.confounders=skip"]
    page = audit_images(study, labels=None, assignments=wishes, out=tmp_path / "out", command="")
    text = page.read_text(encoding="utf-8")
    assert 'id="copies"' not in text
    assert 'id="confounders"' not in text
    assert pl.read_csv(tmp_path / "out" / "near_duplicates.csv").is_empty()


def test_images_alone_can_be_audited(tmp_path: Path, write_png: Callable[[Path, int], None]) -> None:
    for number in range(3):
        write_png(tmp_path / "flat" / f"{number}.png", 50)
    page = audit_images(tmp_path / "flat", labels=None, assignments=[], out=tmp_path / "out", command="")
    assert "No two images are nearly the same" in page.read_text(encoding="utf-8")


def test_settings_of_a_training_are_refused(study: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--set model: only settings of \[data\] and \[audit\] matter here$"):
        audit_images(study, labels=None, assignments=["model.freeze=all"], out=None, command="")
