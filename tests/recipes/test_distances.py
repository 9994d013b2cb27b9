from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radpath.errors import StaleError
from radpath.evaluation.distance import DistanceSettings
from radpath.recipes.distances import distance_of_run, record_distance
from radpath.run_folder import RunFolder

MODEL = "checkpoints/best.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "run")
    folder.stamp("train", {MODEL: "first"})
    return folder


def record(folder: RunFolder, labels: np.ndarray, *, most_images: int = 100) -> None:
    generator = np.random.default_rng(0)
    features: Any = {side: 1 + generator.random((len(labels), 4)) for side in ("train", "validation")}
    record_distance(features, labels, DistanceSettings(most_images=most_images), folder)


def test_each_class_has_a_mean_and_several_labels_have_one_for_all(folder: RunFolder) -> None:
    record(folder, np.arange(30) % 3)
    found = distance_of_run(folder)
    assert found is not None
    assert found.facts.num_groups == 3
    record(folder, np.array([[0.0, 1.0, np.nan]] * 30))
    found = distance_of_run(folder)
    assert found is not None
    assert found.facts.num_groups == 1


def test_the_distance_of_an_earlier_model_does_not_stay(folder: RunFolder) -> None:
    record(folder, np.arange(30) % 3)
    record(folder, np.arange(30) % 3, most_images=0)
    assert distance_of_run(folder) is None
    assert not folder.distance_facts.exists()


def test_the_distance_of_another_model_is_refused(folder: RunFolder) -> None:
    record(folder, np.arange(30) % 3)
    folder.stamp("train", {MODEL: "second"})
    with pytest.raises(StaleError, match=r"distance.safetensors was measured with another model than the run's"):
        distance_of_run(folder)
