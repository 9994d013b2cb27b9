"""Which images say what is typical, and what becomes of those that cannot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from radpath.data import reading
from radpath.data.inputs import DataSettings
from radpath.data.scan import scan
from radpath.data.stain.fitting import fit_stain_of
from radpath.data.stain.normalisation import StainSettings, fit_stain
from radpath.errors import DataError

Draw = Callable[..., np.ndarray]


@pytest.fixture
def sections(tmp_path: Path, draw_tissue: Draw) -> Path:
    for number in range(5):
        Image.fromarray(draw_tissue(seed=number, strength=0.6 + number / 5)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_nothing_is_read_where_no_normalisation_is_wanted(sections: Path) -> None:
    data = DataSettings(images=sections)
    training = scan(data)
    for path in sections.iterdir():
        path.unlink()
    assert fit_stain_of(training, data, StainSettings()) is None


def test_images_are_spread_evenly_over_those_that_are_kept(sections: Path, draw_tissue: Draw) -> None:
    data = DataSettings(images=sections)
    training = scan(data).exclude({"0.png": "none", "4.png": "none"}, reason="no label")
    fitted = fit_stain_of(training, data, StainSettings(method="macenko", fit_images=1))
    assert fitted == fit_stain([draw_tissue(seed=2, strength=1.0)], "macenko")


def test_images_without_colours_are_passed_over_and_deep_ones_are_not(sections: Path, draw_tissue: Draw) -> None:
    for number in range(1, 5):
        (sections / f"{number}.png").unlink()
    tifffile.imwrite(sections / "deep.tif", draw_tissue(seed=7).astype(np.uint16) * 257, photometric="rgb")
    Image.fromarray(draw_tissue(seed=8)[:, :, 0]).save(sections / "grey.png")
    data = DataSettings(images=sections)
    fitted = fit_stain_of(scan(data), data, StainSettings(method="reinhard"))
    assert fitted == fit_stain([draw_tissue(seed=0, strength=0.6), draw_tissue(seed=7)], "reinhard")


def test_an_image_that_is_gone_is_said(sections: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAUSES_S", ())
    data = DataSettings(images=sections)
    training = scan(data)
    (sections / "2.png").unlink()
    with pytest.raises(DataError, match=r"^cannot be read: No such file or directory$"):
        fit_stain_of(training, data, StainSettings(method="macenko"))
