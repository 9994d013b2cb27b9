from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from radpath.reporting.content import ReportContent, side_counts
from radpath.reporting.figures import all_figures, class_balance_figure, size_figure, training_curves

ContentMaker = Callable[..., ReportContent]
ALL = {"intervals", "roc", "precision_recall", "confusion", "class_balance", "sizes", "training"}


def words_of(svg: str) -> str:
    return " ".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own text


def training_of(content: ReportContent) -> str | None:
    assert content.training is not None
    return training_curves(content.training)


def test_a_whole_run_has_every_figure_and_each_its_own_ids(four_classes: ReportContent) -> None:
    figures = all_figures(four_classes)
    assert set(figures) == ALL
    ids = [element.get("id") for svg in figures.values() for element in ET.fromstring(svg).iter()]  # noqa: S314 - our own text
    named = [one for one in ids if one]
    assert len(named) == len(set(named))


def test_one_size_and_one_epoch_leave_their_figures_out(new_content: ContentMaker) -> None:
    figures = all_figures(new_content(one_size=True, num_epochs=1))
    assert ALL - set(figures) == {"sizes", "training"}


def test_the_training_figure_tells_the_epoch_that_was_kept(two_classes: ReportContent) -> None:
    svg = training_of(two_classes)
    assert svg is not None
    assert "The dashed line marks epoch 3, whose weights were kept." in words_of(svg)
    assert "Validation AUC was highest in epoch 3" in words_of(svg)


def test_training_without_validation_has_no_panel_for_it(new_content: ContentMaker) -> None:
    svg = training_of(new_content(sides=("train", "test")))
    assert svg is not None
    assert "Validation" not in words_of(svg)


def test_the_class_balance_tells_every_count(four_classes: ReportContent) -> None:
    assert "in situ: 18 images" in words_of(class_balance_figure(side_counts(four_classes)))


def test_very_many_sizes_still_give_a_small_figure() -> None:
    rng = np.random.default_rng(0)
    svg = size_figure({"train": np.exp(rng.normal(6, 0.7, (50_000, 2))).astype(int) + 1})
    assert svg is not None
    assert len(svg) < 150_000


@pytest.mark.parametrize("sizes", [np.array([[30, 40], [30, 90]]), np.array([[1, 1], [20_000, 15_000]])])
def test_narrow_and_wide_ranges_of_sizes_are_drawn(sizes: np.ndarray) -> None:
    svg = size_figure({"train": sizes, "test": sizes[:1]})
    assert svg is not None
    assert f"Widths run from {sizes[0, 0]} to {sizes[1, 0]} pixels" in words_of(svg)


def test_no_images_and_no_epochs_give_no_figure(new_content: ContentMaker) -> None:
    assert size_figure({}) is None
    assert training_of(new_content(num_epochs=0)) is None
