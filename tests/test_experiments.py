"""The experiments of the repository are complete, describe themselves, load, and run on drawn images from end to end.

The drawn images lie as each experiment says, so that its own paths, names and columns are read; only the size of images
and networks, and the number of epochs, are overridden.
"""

import csv
import json
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import sklearn.metrics
from PIL import Image

from radpath.data.synthetic import SizeRange, SyntheticStudy, write_synthetic
from radpath.models import torchvision_compat
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.settings import setting_names

torchvision_compat.ensure_importable()
import timm  # noqa: E402 - cannot be imported before, where torchvision's compiled part does not load

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.toml"))
SAME_TEXT = "Relative paths start at the folder where radpath is run."

Program = Callable[..., "subprocess.CompletedProcess[str]"]

SMALL = (
    "training.epochs=1",
    "training.patience=1",
    "pixels.size_px=32",
    "evaluation.replicates=100",
    "audit.near_duplicates=skip",
    "audit.confounders=skip",
    "device.device=cpu",
)
WITHOUT_HUB = ("model.weights=none", "model.norm_statistics=batch")
SMALL_HEAD = ("model.head.num_filters=1", "model.head.hidden_ratio=0.02", "batches.size=8")
TINY: dict[str, tuple[str, ...]] = {
    "acl_tear": (*WITHOUT_HUB, *SMALL_HEAD, "model.backbone=test_resnet", "model.freeze=none"),
    "breast_ultrasound": (*WITHOUT_HUB, *SMALL_HEAD, "model.backbone=test_resnet", "model.freeze=none"),
    "chest_xray": (),
    "flowers": (),
    "histology_frozen": ("pixels.max_side_px=48",),
    "histology_kimianet": ("pixels.max_side_px=48", "batches.size=8"),
    "tissue_resnet18": (*WITHOUT_HUB, "model.backbone=resnet18"),
    "tissue_simple_cnn": (),
}
"""What makes each experiment small enough for a test, beside what makes all of them small."""

HARMLESS = ("normal", "benign")


def named(path: Path) -> str:
    return path.stem


def heading_of(path: Path) -> str:
    return path.read_text(encoding="utf-8").split("\nquestion")[0]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=named)
def test_an_experiment_loads_and_its_paths_are_relative(path: Path) -> None:
    experiment = read_experiment(path, [])
    assert experiment.question
    assert not Path(str(experiment.data.images)).is_absolute()
    assert experiment.data.labels is None or not Path(str(experiment.data.labels)).is_absolute()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=named)
def test_an_experiment_states_every_setting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for key in setting_names(Experiment):
        *tables, name = key.split(".")
        section = text.split(f"[{'.'.join(tables)}]")[1].split("\n[")[0] if tables else text
        assert re.search(rf"^({name} = .+|# {name} is not set)$", section, flags=re.MULTILINE), key


@pytest.mark.parametrize("path", EXPERIMENTS, ids=named)
def test_an_experiment_says_how_to_run_it_and_what_to_expect(path: Path) -> None:
    heading = heading_of(path)
    stated = dict(re.findall(r"^# (\w+): +(\S.+)$", heading, flags=re.MULTILINE))
    assert {"Command", "Data", "Hardware", "Expected", "Source"} <= set(stated)
    assert stated["Command"] == f"radpath train experiments/{path.name}"
    assert re.search(r"\d\.\d\d|not measured", stated["Expected"]), "a score, or why there is none"
    assert SAME_TEXT in heading


@pytest.mark.parametrize("path", EXPERIMENTS, ids=named)
def test_the_changes_that_a_heading_suggests_go_together(path: Path) -> None:
    unfolded = re.sub(r"\n# {9,}", " ", heading_of(path))
    for line in unfolded.splitlines():
        wishes = [quoted or plain for quoted, plain in re.findall(r"--set (?:'([^']+)'|(\S+))", line)]
        changed = read_experiment(path, wishes)
        assert (changed != read_experiment(path, [])) == bool(wishes), line


@pytest.mark.parametrize("path", EXPERIMENTS, ids=named)
def test_an_experiment_has_a_row_in_the_guide(path: Path) -> None:
    guide = (ROOT / "docs" / "guide" / "experiments.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{path.name}` \|", guide, flags=re.MULTILINE)


def test_every_experiment_runs_in_a_test() -> None:
    assert {path.stem for path in EXPERIMENTS} == {*TINY, "blood_cells", "breastmnist"}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStudy:
    """Drawn tissue of 102 to 112 px, which every experiment's filter of sizes lets through."""
    sizes = SizeRange(smallest_px=102, median_px=104, largest_px=112)
    folder = tmp_path_factory.mktemp("drawn") / "study"
    return write_synthetic(folder, cases_per_class=5, images_per_case=(1, 2), seed=3, sizes=sizes, faults=False)


class Layout:
    """Where drawn images lie, and in which table, so that they look like an experiment's own."""

    def __init__(self, folder: Path, study: SyntheticStudy) -> None:
        self.folder = folder
        self.study = study

    def lay_out(self, name: str) -> None:
        layouts: dict[str, Callable[[], None]] = {
            "acl_tear": self.acl,
            "breast_ultrasound": self.breast,
            "chest_xray": self.chest,
            "flowers": self.flowers,
            "histology_frozen": self.histology,
            "histology_kimianet": self.histology,
            "tissue_resnet18": self.tissue,
            "tissue_simple_cnn": self.tissue,
        }
        layouts[name]()

    def images(self) -> Iterable[tuple[str, int, str, Image.Image]]:
        """Yield the file name, the case's number, the kind of tissue and the pixels of each image."""
        for name, kind in self.study.truth.items():
            with Image.open(self.study.images / name) as image:
                yield name, int(name.split("_")[1]), kind, image.copy()

    def save(self, image: Image.Image, path: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(self.folder / path)

    def table(self, path: str, rows: Iterable[tuple[str, ...]]) -> None:
        with (self.folder / path).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)

    def histology(self) -> None:
        grades = {}
        for name, case, kind, image in self.images():
            number = name.split("_")[-1]
            grades[str(case)] = "benign" if kind in HARMLESS else "high_grade"
            self.save(image, f"patches/sox10/case_{case:03d}_match_h&e_{number}")
            self.save(image.rotate(90), f"patches/case_{case:03d}_unmatched_melan_{number}")
        self.table("labels.csv", [("case", "label"), *grades.items()])

    def flowers(self) -> None:
        flowers = {"normal": "daisy", "benign": "rose", "in_situ": "tulip", "invasive": "daisy"}
        for name, _, kind, image in self.images():
            self.save(image, f"flowers/{flowers[kind]}/{Path(name).stem}.jpg")

    def chest(self) -> None:
        for name, case, kind, image in self.images():
            folder = "nofinding" if kind in HARMLESS else "effusion"
            number = name.split("_")[-1]
            colours = "RGBA" if case % 2 else "L"
            self.save(image.convert("L").convert(colours), f"CXR_data/{folder}/{case:08d}_{number}")

    def breast(self) -> None:
        rows = [("filename", "label")]
        for place, (_, _, kind, image) in enumerate(self.images(), start=1):
            label = "benign" if kind in HARMLESS else "malignant"
            self.save(image.convert("L"), f"breast/images/{label} ({place}).png")
            rows.append((f"images/{label} ({place}).png", label))
        self.table("breast/labels.csv", rows)

    def acl(self) -> None:
        rows = [("filename", "acl_label")]
        for name, case, kind, image in self.images():
            path = f"images/{case:04d}_sagittal_{int(name.split('_')[-1][:-4]):02d}.000000.png"
            self.save(image.convert("L"), f"acl/{path}")
            rows.append((path, "no" if kind in HARMLESS else "yes"))
        self.table("acl/labels.csv", rows)

    def tissue(self) -> None:
        folders = {"normal": "Normal", "benign": "Benign", "in_situ": "InSitu", "invasive": "Invasive"}
        for name, _, kind, image in self.images():
            self.save(image, f"challenge/{folders[kind]}/{Path(name).stem}.tif")


def write_kimianet(folder: Path) -> None:
    """Write random weights in KimiaNet's layout, under the name that the experiment gives the file."""
    tensors = timm.create_model("densenet121", num_classes=0).state_dict()
    named = {f"module.model.0.{name.removeprefix('features.')}": tensor for name, tensor in tensors.items()}
    safetensors.torch.save_file(named, folder / "kimianet.safetensors")


SLOW = {"breast_ultrasound", "flowers", "histology_kimianet", "tissue_resnet18"}
"""Larger, or much like another one that always runs."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in sorted(TINY)]
)
def test_an_experiment_runs_on_drawn_images_that_lie_as_it_says(
    name: str, drawn: SyntheticStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    Layout(tmp_path, drawn).lay_out(name)
    if name == "histology_kimianet":
        write_kimianet(tmp_path)
    monkeypatch.chdir(tmp_path)
    run_here(name, (*SMALL, *TINY[name]), tmp_path / "run", program)
    check_run(name, tmp_path / "run")


def run_here(name: str, wishes: Iterable[str], out: Path, program: Program) -> None:
    """Run an experiment on the data that lie in the current folder."""
    words = [word for wish in wishes for word in ("--set", wish)]
    result = program("train", ROOT / "experiments" / f"{name}.toml", *words, "--out", out)
    assert result.returncode == 0, result.stderr


def check_run(name: str, run: Path) -> None:
    experiment = read_experiment(ROOT / "experiments" / f"{name}.toml", [])
    predictions = pl.read_csv(run / "predictions.csv", schema_overrides={"case": pl.String})
    sides = predictions.group_by("case").agg(pl.col("split").n_unique())
    assert sides["split"].max() == 1, "no case is on two sides"
    assert set(predictions["split"]) == {"train", "validation", "test"}
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    if experiment.evaluation.positive_class is not None:
        assert metrics["positive_class"] == experiment.evaluation.positive_class
    assert (run / "report.html").is_file()


@pytest.mark.slow
def test_the_breast_study_runs_on_real_ultrasound(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    arrays = np.load(shared_data / "medmnist28" / "breastmnist.npz")
    (tmp_path / "breast" / "images").mkdir(parents=True)
    rows = ["filename,label"]
    for number, (pixels, label) in enumerate(zip(arrays["train_images"], arrays["train_labels"][:, 0], strict=True)):
        Image.fromarray(pixels).save(tmp_path / "breast" / "images" / f"{number}.png")
        rows.append(f"images/{number}.png,{'benign' if label else 'malignant'}")
    (tmp_path / "breast" / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    bundled = ("model.backbone=tf_efficientnet_lite0", "model.weights=bundled")
    run_here("breast_ultrasound", (*SMALL, *SMALL_HEAD, *bundled), tmp_path / "run", program)
    check_run("breast_ultrasound", tmp_path / "run")


@pytest.mark.slow
def test_breastmnist_is_told_apart_by_the_logistic_start_alone(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    monkeypatch.chdir(shared_data / "medmnist28")
    run_here("breastmnist", (*SMALL, "training.epochs=0", "pixels.size_px=64"), tmp_path / "run", program)
    assert auc_on_test_side(tmp_path / "run", "0") > 0.75


@pytest.mark.slow
def test_white_cells_and_platelets_are_told_apart_by_the_logistic_start_alone(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    monkeypatch.chdir(shared_data)
    wishes = (*SMALL, "training.epochs=0", "data.keep=label != 'RBC'", "pixels.max_side_px=64")
    run_here("blood_cells", wishes, tmp_path / "run", program)
    assert auc_on_test_side(tmp_path / "run", "WBC") > 0.95


def auc_on_test_side(run: Path, positive: str) -> float:
    table = pl.read_csv(run / "predictions.csv", schema_overrides={"truth": pl.String}).filter(
        pl.col("split") == "test"
    )
    return float(sklearn.metrics.roc_auc_score(table["truth"] == positive, table[f"probability:{positive}"]))
