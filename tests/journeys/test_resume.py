"""A run that is killed at any moment and resumed ends with the same bits as one that was not; changes are refused."""

import csv
import json
import multiprocessing
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
from sklearn.metrics import roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from radpath.data.synthetic import SyntheticStudy

if not hasattr(signal, "SIGKILL"):
    pytest.skip("this system cannot kill a process at once", allow_module_level=True)

Program = Callable[..., "subprocess.CompletedProcess[str]"]
WritePng = Callable[[Path, int], None]
Condition = Callable[[Path], bool]

PATIENCE_S = 300.0

EVERYTHING_LEARNS = """
[pixels]
size = "native"
[augmentation]
flips = "dihedral"
[model]
backbone = "test_resnet"
weights = "none"
norm_statistics = "batch"
"""
WITHOUT_BATCH_NORM = EVERYTHING_LEARNS.replace("test_resnet", "test_convnext")
KEPT_FEATURES = """
[pixels]
size = "fixed"
size_px = 32
[augmentation]
rotation_deg = 0.0
scale = 0.0
shift = 0.0
brightness = 0.0
contrast = 0.0
[model]
backbone = "test_resnet"
weights = "none"
freeze = "all"
"""

ALL_THE_REST = """
[pixels]
size = "native"
[model]
backbone = "test_resnet"
weights = "none"
norm_statistics = "batch"
[training]
accumulate = 2
sampling = "balanced"
loss.class_weights = "none"
optimiser.kind = "sgd"
schedule.kind = "plateau"
schedule.wait = 1
mix.kind = "mixup"
average.kind = "swa"
average.start = 0.5
layer_decay = 0.7
monitor = "validation_loss"
"""


def write_experiment(path: Path, study: SyntheticStudy, kind: str) -> Path:
    data = f"""
        [data]
        images = '{study.images}'
        labels = '{study.labels}'
        name_pattern = '{study.name_pattern}'
        [batches]
        size = 8
        [evaluation]
        replicates = 100
    """
    head, _, training = kind.partition("[training]\n")
    text = "\n".join(line.strip() for line in data.splitlines()) + head
    path.write_text(f"{text}[training]\nepochs = 3\n{training}", encoding="utf-8")
    return path


def file_says(name: str, text: str) -> Condition:
    def condition(run: Path) -> bool:
        return (run / name).is_file() and text in (run / name).read_text(encoding="utf-8")

    return condition


def epoch_is_written(number: int) -> Condition:
    return file_says("history.csv", f"\n{number},")


MOMENTS: dict[str, Condition] = {
    "while images are prepared": lambda run: (run / "experiment.toml").is_file(),
    "after the head's start": epoch_is_written(0),
    "in the middle of an epoch's files": lambda run: (run / "checkpoints" / "epoch-0001.safetensors").is_file(),
    "after an epoch": epoch_is_written(2),
    "while the sides are predicted": file_says("stamps.json", '"train"'),
    "while the numbers are computed": lambda run: (run / "predictions.csv").is_file(),
}
"""In the order in which they come; what each looks for stays true from then on."""


def wait_for(condition: Condition, run: Path, is_running: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition(run) and is_running():
        assert time.monotonic() < deadline, "the run does not get to the moment"
        time.sleep(0.001)


def start_forked(*words: object) -> ForkServerProcess:
    """Start ``python -m radpath`` in a process of its own, forked from one that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["radpath.recipes.train", "torch.utils.tensorboard"])
    with mock.patch.object(sys, "argv", ["radpath", *map(str, words)]):
        options = {"run_name": "__main__", "alter_sys": True}
        process = context.Process(target=runpy.run_module, args=("radpath",), kwargs=options)
        process.start()
    return process


def finish(*words: object) -> None:
    process = start_forked(*words)
    process.join(PATIENCE_S)
    assert process.exitcode == 0


def kill_when(condition: Condition, run: Path, *words: object) -> None:
    process = start_forked(*words)
    wait_for(condition, run, process.is_alive)
    process.kill()
    process.join(PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL


def start_command(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "radpath", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish_command(*words: object) -> str:
    process = start_command(*words)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert err == ""
    return out


def kill_command_when(condition: Condition, run: Path, *words: object) -> None:
    process = start_command(*words)
    wait_for(condition, run, lambda: process.poll() is None)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL


def rows_without_seconds(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def file_names(run: Path) -> set[str]:
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("tensorboard/")}


def require_same_end(run: Path, expected: Path) -> None:
    """The same files, and the same bits in all that do not tell of times; nothing half-written is left."""
    assert file_names(run) == file_names(expected)
    exact = [name for name in file_names(run) if name.endswith((".csv", ".json", ".safetensors", ".parquet", ".svg"))]
    telling = {"history.csv", "tables/history.csv", "tables/versions.csv", "environment.json"}
    telling.add("checkpoints/state.safetensors")
    assert {"predictions.csv", "metrics.json", "checkpoints/best.safetensors"} < set(exact) - telling
    for name in sorted(set(exact) - telling):
        assert (run / name).read_bytes() == (expected / name).read_bytes(), name
    assert rows_without_seconds(run) == rows_without_seconds(expected)
    one, other = (
        safetensors.numpy.load_file(folder / "checkpoints" / "state.safetensors") for folder in (run, expected)
    )
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def require_each_epoch_once_in_tensorboard(run: Path) -> None:
    accumulator = EventAccumulator(str(run / "tensorboard"))
    accumulator.Reload()
    shown = [(event.step, event.value) for event in accumulator.Scalars("loss/validation")]
    written = [(int(row["epoch"]), float(row["validation_loss"])) for row in rows_without_seconds(run)]
    assert [step for step, _ in shown] == [epoch for epoch, _ in written]
    assert [value for _, value in shown] == pytest.approx([loss for _, loss in written])


def test_a_run_killed_at_every_stage_in_turn_ends_with_the_same_bits(
    tmp_path: Path, small_study: SyntheticStudy
) -> None:
    experiment = write_experiment(tmp_path / "experiment.toml", small_study, EVERYTHING_LEARNS)
    finish("train", experiment, "--out", tmp_path / "whole" / "run")
    run = tmp_path / "killed" / "run"
    words = ["train", experiment, "--out", run]
    for condition in MOMENTS.values():
        kill_when(condition, run, *words)
        words = ["train", experiment, "--out", run, "--resume"]
    finish(*words)
    require_same_end(run, tmp_path / "whole" / "run")
    require_each_epoch_once_in_tensorboard(run)


@pytest.mark.slow  # eight starts of Python and PyTorch for each kind of run
@pytest.mark.parametrize(
    "kind",
    [EVERYTHING_LEARNS, KEPT_FEATURES, ALL_THE_REST],
    ids=["everything learns", "kept features", "all the rest"],
)
def test_the_command_killed_at_any_one_stage_ends_with_the_same_bits(
    tmp_path: Path, small_study: SyntheticStudy, kind: str
) -> None:
    experiment = write_experiment(tmp_path / "experiment.toml", small_study, kind)
    whole = tmp_path / "whole" / "run"
    finish_command("train", experiment, "--out", whole)
    for number, condition in enumerate(MOMENTS.values()):
        run = tmp_path / f"killed-{number}" / "run"
        kill_command_when(condition, run, "train", experiment, "--out", run)
        finish_command("train", run / "experiment.toml", "--resume")
        require_same_end(run, whole)
        require_each_epoch_once_in_tensorboard(run)


def test_resuming_a_finished_run_changes_nothing_but_when_and_how_it_was_made(
    tmp_path: Path, program: Program, finished_run: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    for left in (run / ".history.csv.0a1b2c3d.part", run / "checkpoints" / ".best.safetensors.0a1b2c3d.part"):
        left.write_text("half of what a process that was killed was writ", encoding="utf-8")
    result = program("train", run / "experiment.toml", "--resume")
    assert result.returncode == 0, result.stderr
    require_same_end(run, finished_run)
    require_each_epoch_once_in_tensorboard(run)
    pages = []
    for folder in (run, finished_run):
        environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        page = (folder / "report.html").read_text(encoding="utf-8")
        date = environment["started"].replace("T", " ").replace("+00:00", " UTC")
        told = (environment["started"], date, "<dt>Command</dt>", '<th scope="row">command</th>')
        pages.append([line for line in page.splitlines() if not any(text in line for text in told)])
    assert len(pages[0]) > 100
    assert pages[0] == pages[1]


def test_a_run_goes_on_with_another_precision_but_not_with_another_setting(
    tmp_path: Path, program: Program, finished_run: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    changes = ("--set", "training.learning_rate=0.5", "--set", "pixels.size=fixed")
    result = program("train", run / "experiment.toml", *changes, "--resume")
    assert result.returncode == 5
    assert "the settings changed since this run began: " in result.stderr
    assert "training.learning_rate was 0.0003 and is 0.5; " in result.stderr
    assert "pixels.size was 'native' and is 'fixed'; " in result.stderr
    result = program("train", run / "experiment.toml", "--set", "device.precision=bf16-mixed", "--resume")
    assert result.returncode == 0, result.stderr


@pytest.fixture
def run_of_files(tmp_path: Path, program: Program, write_png: WritePng, fast: tuple[str, ...]) -> Path:
    """Return a folder with images, a table of labels beside them, and a finished run."""
    rows = ["path,label"]
    for number in range(18):
        label = "bright" if number % 2 else "dark"
        write_png(tmp_path / "images" / f"{number}.png", 60 * (number % 2) + number)
        rows.append(f"{number}.png,{label}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ("fit", tmp_path / "images", "--labels", tmp_path / "labels.csv", *fast, "--out", tmp_path / "run")
    words = (*words, "--set", "pixels.size=native")
    result = program(*words)
    assert result.returncode == 0, result.stderr
    return tmp_path


def test_changed_images_and_labels_are_refused_by_name(
    run_of_files: Path, program: Program, write_png: WritePng
) -> None:
    images, labels = run_of_files / "images", run_of_files / "labels.csv"
    image, table = (images / "3.png").read_bytes(), labels.read_text(encoding="utf-8")

    def refusal() -> str:
        result = program("train", run_of_files / "run" / "experiment.toml", "--resume")
        assert result.returncode == 5, result.stderr
        assert "the data changed since this run began" in result.stderr
        return result.stderr

    write_png(images / "3.png", 190)
    assert "1 image with other content (3.png)" in refusal()
    (images / "3.png").unlink()
    assert "1 image removed (3.png)" in refusal()
    (images / "3.png").write_bytes(image)
    labels.write_text(table.replace("3.png,bright", "3.png,dark", 1), encoding="utf-8")
    assert "with another label (3.png" in refusal()
    labels.write_text(table, encoding="utf-8")
    write_png(images / "extra.png", 130)
    assert "1 image added (extra.png)" in refusal()
    (images / "extra.png").unlink()
    result = program("train", run_of_files / "run" / "experiment.toml", "--resume")
    assert result.returncode == 0, result.stderr


def test_resuming_what_never_began_says_what_to_do(
    tmp_path: Path, program: Program, small_study: SyntheticStudy
) -> None:
    experiment = write_experiment(tmp_path / "experiment.toml", small_study, KEPT_FEATURES)
    result = program("train", experiment, "--resume")
    assert result.returncode == 2
    assert "--resume needs the run: name its own experiment.toml, or its folder with --out" in result.stderr
    result = program("train", experiment, "--resume", "--out", tmp_path / "nowhere")
    assert result.returncode == 3
    assert "there is no run folder" in result.stderr
    (tmp_path / "begun").mkdir()
    result = program("train", experiment, "--resume", "--out", tmp_path / "begun")
    assert result.returncode == 3
    assert "if a run was stopped before it began, empty the folder and start it again without --resume" in result.stderr


def children_of(pid: int) -> set[int]:
    """Return the processes that a process has started (Linux)."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()}


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.is_file() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow  # each of two processes imports PyTorch anew, in six runs
def test_two_processes_share_a_run_and_its_end_is_exact_too(tmp_path: Path, small_study: SyntheticStudy) -> None:
    experiment = write_experiment(tmp_path / "experiment.toml", small_study, WITHOUT_BATCH_NORM)
    both = ("--set", "device.device=cpu", "--set", "device.num_devices=2")
    whole = tmp_path / "whole" / "run"
    out = finish_command("train", experiment, *both, "--out", whole)
    assert out.count("Training on 2 x CPU") == out.count("Report: ") == 1
    require_each_epoch_once_in_tensorboard(whole)
    require_validation_as_in_predictions(whole)

    run = tmp_path / "killed" / "run"
    process = start_command("train", experiment, *both, "--out", run)
    wait_for(epoch_is_written(1), run, lambda: process.poll() is None)
    started = children_of(process.pid) if sys.platform == "linux" else set()
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    wait_for(lambda _: not any(is_alive(pid) for pid in started), run, lambda: True)
    finish_command("train", run / "experiment.toml", *both, "--resume")
    require_same_end(run, whole)

    finish_command("train", run / "experiment.toml", "--set", "device.num_devices=1", "--resume")
    alone, shared = (pl.read_csv(folder / "predictions.csv") for folder in (run, whole))
    assert alone.drop(pl.selectors.float()).equals(shared.drop(pl.selectors.float()))
    names = alone.select(pl.selectors.float()).columns
    assert alone.select(names).to_numpy() == pytest.approx(shared.select(names).to_numpy(), abs=1e-5)


@pytest.mark.slow  # PyTorch is imported by one process and by three
def test_torchrun_starts_the_processes_of_a_run_that_learns_like_one(
    tmp_path: Path, small_study: SyntheticStudy, program: Program
) -> None:
    text = WITHOUT_BATCH_NORM + "[training]\naccumulate = 2\nmix.kind = 'mixup'\n"
    experiment = write_experiment(tmp_path / "experiment.toml", small_study, text)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    result = program("train", experiment, "--set", "device.device=cpu", "--out", alone)
    assert result.returncode == 0, result.stderr
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    wishes = ["device.device=cpu", "device.num_devices=2", "device.launcher=torchrun"]
    words = [word for wish in wishes for word in ("--set", wish)]
    command = [*torchrun, "-m", "radpath", "train", str(experiment), *words, "--out", str(shared)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("Training on 2 x CPU") == result.stdout.count("Report: ") == 1
    for one, other in zip(rows_without_seconds(alone), rows_without_seconds(shared), strict=True):
        for name in ("train_loss", "validation_loss", "validation_auc"):
            assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-5)


def require_validation_as_in_predictions(run: Path) -> None:
    """What was measured during training is what the kept model predicts: both processes validated the same weights."""
    table = pl.read_csv(run / "predictions.csv").filter(pl.col("split") == "validation")
    names = [name for name in table.columns if name.startswith("probability:")]
    truth = np.array([names.index(f"probability:{label}") for label in table["truth"]])
    scores = table.select(names).to_numpy()
    present = sorted(set(truth.tolist()))
    areas = [roc_auc_score(truth == place, scores[:, place]) for place in present]
    best = max(float(row["validation_auc"]) for row in rows_without_seconds(run))
    assert best == pytest.approx(np.mean(areas), abs=1e-9)


@pytest.mark.slow  # each of two processes imports PyTorch anew
def test_an_error_in_one_of_several_processes_is_one_line(tmp_path: Path, small_study: SyntheticStudy) -> None:
    experiment = write_experiment(tmp_path / "experiment.toml", small_study, WITHOUT_BATCH_NORM)
    both = ("--set", "device.device=cpu", "--set", "device.num_devices=2")
    process = start_command("train", experiment, *both, "--set", "training.learning_rate=1e30", "--out", tmp_path / "r")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 10
    assert out.count("The training is spoilt: the loss is ") == out.count("Batch at fault") == 1
    failure = json.loads((tmp_path / "r" / "failure.json").read_text(encoding="utf-8"))
    assert failure["causes"][0]["name"] == "learning rate"
    assert failure["causes"][0]["standing"] == "likely"
    assert failure["kept_epoch"] == 0
    assert err.startswith("radpath: the loss is ")
    assert err.count("\n") == 1
    assert [row["epoch"] for row in rows_without_seconds(tmp_path / "r")] == ["0"]
