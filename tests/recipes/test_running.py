"""Steps that recipes share: from one file of a run folder to the next."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from radpath.data.batches import UNLABELLED
from radpath.data.intensity import Intensity
from radpath.data.split import Split, split_by_case
from radpath.data.synthetic import SyntheticStudy
from radpath.errors import DataError, SettingsError
from radpath.recipes.experiment import Experiment, compose_experiment
from radpath.recipes.gathering import gather_verified
from radpath.recipes.running import (
    build_model,
    image_source,
    prepare_pixels,
    read_audit,
    read_choices,
    read_classes,
    read_document,
    read_findings,
    read_intensity,
    record_data,
    record_intensity,
    sources_of,
)
from radpath.reporting.content import Choice
from radpath.run_folder import RunFolder


@pytest.fixture(scope="module")
def experiment(small_study: SyntheticStudy, fast: tuple[str, ...]) -> Experiment:
    data = {
        "images": str(small_study.images),
        "labels": str(small_study.labels),
        "name_pattern": small_study.name_pattern,
    }
    wishes = [*fast[1::2], "model.norm_statistics=batch", "pixels.size_px=32"]
    return compose_experiment({"data": data}, wishes)


@pytest.fixture(scope="module")
def split(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Split:
    pools = tmp_path_factory.mktemp("pools")
    return split_by_case(gather_verified(experiment.data, beside=pools / "run"), experiment.split)


def test_what_is_recorded_of_the_data_is_read_back(split: Split, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    choices = [Choice(setting="split.source", value="fractions", reason="of nothing")]
    record_data(folder, split, choices)
    assert read_findings(folder) == split.manifest.findings
    assert read_choices(folder) == tuple(choices)
    assert read_classes(folder) == split.classes
    assert read_audit(folder) == split.audit
    assert folder.stamped("data") == {"the data": split.manifest.content_digest()}


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("[3]", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"plan.json is not what radpath wrote \(.*\); restore it, or run the experiment"
    ):
        read_document(path, lambda rows: [row["setting"] for row in rows])
    with pytest.raises(DataError, match=r"is missing"):
        read_document(tmp_path / "none.json", list)


def test_sources_hold_each_sides_images_and_labels(experiment: Experiment, split: Split, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run")
    _, store = prepare_pixels(experiment, split.manifest, folder)
    record_intensity(experiment, split, store, folder)
    model = build_model(experiment, split.classes)
    sources = sources_of(experiment, split, store, model, intensity=read_intensity(folder))
    assert {side: len(source) for side, source in sources.items()} == dict(split.audit.num_images)
    for side, source in sources.items():
        records = [store.record_ids[row] for row in source.rows]
        rows = {row["record_id"]: row for row in split.manifest.kept.to_dicts()}
        assert {rows[record]["split"] for record in records} == {side}
        assert [split.classes[label] for label in source.labels] == [rows[record]["label"] for record in records]
    assert (tmp_path / ".pixels").is_dir()


def test_an_unknown_label_is_no_label(experiment: Experiment, split: Split, tmp_path: Path) -> None:
    _, store = prepare_pixels(experiment, split.manifest, RunFolder.create(tmp_path / "run"))
    source = image_source(
        experiment,
        store,
        split.manifest.kept.head(3),
        classes=("else",),
        smallest_canvas_px=32,
        intensity=Intensity(rule="full"),
    )
    np.testing.assert_array_equal(source.labels, [UNLABELLED] * 3)


def test_the_head_follows_the_seed_and_nothing_else(experiment: Experiment) -> None:
    first, again = (build_model(experiment, ("a", "b")).head.weight for _ in range(2))
    other = experiment.model_copy(update={"training": experiment.training.model_copy(update={"seed": 1})})
    assert first.equal(again)
    assert not first.equal(build_model(other, ("a", "b")).head.weight)


def test_a_model_that_cannot_take_the_images_is_refused(experiment: Experiment) -> None:
    too_small = experiment.model_copy(
        update={"model": experiment.model.model_copy(update={"backbone": "test_vit"})},
    )
    with pytest.raises(SettingsError, match=r"^backbone 'test_vit' takes images of 160 px only"):
        build_model(too_small, ("a", "b"))


def test_intensity_is_fitted_on_training_images_alone(experiment: Experiment, split: Split, tmp_path: Path) -> None:
    fitted = {"intensity": "minmax", "intensity_scope": "training"}
    asked = experiment.model_copy(update={"pixels": experiment.pixels.model_copy(update=fitted)})
    folder = RunFolder.create(tmp_path / "run")
    _, store = prepare_pixels(asked, split.manifest, folder)
    record_intensity(asked, split, store, folder)
    training = split.manifest.kept.filter(pl.col("split") == "train")["record_id"].to_list()
    rows = store.index(training).tolist()
    expected = (min(store.image(row).min() for row in rows), max(store.image(row).max() for row in rows))
    assert (read_intensity(folder).zero, read_intensity(folder).one) == expected
