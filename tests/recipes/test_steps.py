from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radpath.data.synthetic import SyntheticStudy
from radpath.errors import DataError, SettingsError
from radpath.recipes.steps import CELL_PX, NUM_IMAGES, show_steps


def test_a_sheet_has_a_column_for_each_image_and_a_row_for_each_stage(tmp_path: Path) -> None:
    dark, bright = np.full((32, 32), 40, np.uint8), np.full((32, 32), 40, np.uint8)
    bright[8:24, 8:24] = 200
    for name, image in (("dark", dark), ("bright", bright)):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    wishes = ['pixels.steps.before=["otsu"]', "pixels.size_px=32"]
    path = show_steps(tmp_path, assignments=wishes, out=tmp_path / "out")
    sheet = np.asarray(Image.open(path))
    column, row = CELL_PX + 14, CELL_PX + 14 + 19  # the frame, the gap and one line of words
    left, top = 12 + 150 + 12 + 1, 12 + 19 + 1

    def at(row_number: int, column_number: int) -> list[int]:
        centre = CELL_PX // 2
        return [int(level) for level in sheet[top + row_number * row + centre, left + column_number * column + centre]]

    assert [at(0, 0), at(0, 1)] == [[200] * 3, [40] * 3]  # as decoded, in the order of names
    assert [at(1, 0), at(1, 1)] == [[255] * 3, [0] * 3]  # otsu
    assert sheet.shape[0] == pytest.approx(4 * row + 31, abs=1)  # as decoded, otsu, intensity, resized


def test_a_few_images_are_spread_over_all_and_what_is_damaged_is_told(
    tmp_path: Path, small_study: SyntheticStudy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = show_steps(small_study.images, assignments=['pixels.steps.after=["opening(1)"]'], out=None)
    assert path == Path("runs/images-steps/steps.png")
    left_out = capsys.readouterr().out.count("Left out: ")
    assert np.asarray(Image.open(path)).shape[1] == 12 + 150 + 12 + (NUM_IMAGES - left_out) * (CELL_PX + 14)


def test_sixteen_bits_are_shown_with_their_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[100, 4000]] * 20, np.uint16).repeat(10, axis=1)).save(tmp_path / "deep.png")
    sheet = np.asarray(Image.open(show_steps(tmp_path, assignments=[], out=tmp_path / "out")))
    assert sheet[100, 12 + 150 + 12 + 1 + 5].tolist() == [0, 0, 0]
    assert sheet[100, 12 + 150 + 12 + 1 + 200].tolist() == [255, 255, 255]


def test_wrong_steps_and_foreign_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    message = r"^--set pixels: steps\.before: 'opning\(3\)' is no step; did you mean 'opening\(3\)'\?$"
    with pytest.raises(SettingsError, match=message):
        show_steps(tmp_path / "none", assignments=['pixels.steps.before=["opning(3)"]'], out=None)
    with pytest.raises(SettingsError, match=r"^--set model: only settings of \[data\] and \[pixels\] matter here$"):
        show_steps(tmp_path / "none", assignments=["model.freeze=all"], out=None)


def test_a_folder_without_any_good_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"has no image that can be shown; `radpath scan` says why$"):
        show_steps(tmp_path, assignments=[], out=None)
