"""Whatever is wrong gets one line that says what, where and what to do, its exit code, and leaves nothing behind."""

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from radpath.errors import exit_codes
from radpath.training.checkpoints import Checkpoints

Program = Callable[..., "subprocess.CompletedProcess[str]"]
WritePng = Callable[[Path, int], None]

SETTING, DATA, LEAK, STALE, DEVICE, STORAGE, WEIGHTS, INTERRUPTED = 2, 3, 4, 5, 6, 7, 8, 130


def require_one_line(result: "subprocess.CompletedProcess[str]", code: int, message: str) -> None:
    assert result.returncode == code, result.stderr
    assert code in exit_codes()
    assert result.stderr.startswith("radpath: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert re.search(message, result.stderr), result.stderr


@pytest.fixture
def folder(tmp_path: Path, write_png: WritePng) -> Path:
    """A folder of two classes with six images each."""
    for place in range(6):
        write_png(tmp_path / "images" / "benign" / f"{place}.png", 20)
        write_png(tmp_path / "images" / "malignant" / f"{place}.png", 180)
    return tmp_path / "images"


@pytest.fixture
def refused(tmp_path: Path, program: Program, fast: tuple[str, ...]) -> Callable[..., None]:
    """Run ``fit`` on something that must be refused, and look whether it left anything behind."""

    def refuse(words: Sequence[object], code: int, message: str) -> None:
        out = tmp_path / "new" / "run"
        result = program("fit", *fast, *words, "--out", out)
        require_one_line(result, code, message)
        # What a scan has read is remembered, so that the next attempt begins where this one was refused.
        assert {path.name for path in out.parent.glob("*")} <= {".scan", ".pixels"}

    return refuse


Refused = Callable[[Sequence[object], int, str], None]


# Images


def test_a_missing_folder(tmp_path: Path, refused: Refused) -> None:
    refused([tmp_path / "nothing"], DATA, r"nothing does not exist; give a folder of images")


def test_an_empty_folder(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "empty").mkdir()
    refused([tmp_path / "empty"], DATA, r"empty holds no images, nothing; radpath reads .*\.jpeg")


def test_a_file_instead_of_a_folder(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "image.png").write_bytes(b"")
    refused([tmp_path / "image.png"], DATA, r"image\.png is a file; give a folder of images")


def test_a_single_class(folder: Path, refused: Refused) -> None:
    shutil.rmtree(folder / "malignant")
    refused([folder], DATA, r"the only class is 'benign' \(6 images\); a classifier needs two classes or more")


def test_a_class_with_one_case(folder: Path, refused: Refused, write_png: WritePng) -> None:
    write_png(folder / "rare" / "1.png", 90)
    refused([folder], DATA, r"class 'rare' has 1 case, but train, validation and test need one each; add cases")


def test_damaged_and_odd_images_are_excluded_with_their_reasons_and_the_rest_is_used(
    folder: Path, tmp_path: Path, program: Program
) -> None:
    whole = (folder / "benign" / "0.png").read_bytes()
    (folder / "benign" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "benign" / "text.jpg").write_text("no image at all", encoding="utf-8")
    (folder / "benign" / "nothing.tif").write_bytes(b"")
    Image.new("L", (1, 1), 7).save(folder / "benign" / "dot.png")
    Image.effect_noise((40, 30), 9).save(folder / "benign" / "large.png")
    result = program("split", folder, "--set", "data.max_pixels=1000", "--out", tmp_path / "split")
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "split" / "exclusions.csv").read_text(encoding="utf-8").splitlines()[1:]
    reasons = {line.split(",")[0].removeprefix("benign/"): line.split(",")[4] for line in lines}
    assert reasons["cut.png"] == "truncated or damaged"
    assert reasons["dot.png"] == "too small"
    assert reasons["large.png"] == "over the pixel limit"
    assert sorted(reasons) == ["cut.png", "dot.png", "large.png", "nothing.tif", "text.jpg"]
    for reason in reasons.values():
        assert reason in result.stdout


def test_an_array_file_with_pickled_objects(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "evil.npz"
    objects = np.array([{"any": "object"}] * 4, dtype=object)
    np.savez(path, train_images=objects, train_labels=np.zeros(4, np.uint8))
    refused([path], DATA, r"evil\.npz")


def test_an_array_file_that_is_none(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    refused([tmp_path / "broken.npz"], DATA, r"broken\.npz cannot be read as an array file")


# Labels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", r"labels\.csv is not UTF-8"),
        (b"", r"labels\.csv has no rows"),
        (b"path,label\nbenign/0.png,benign,extra\n", r"labels\.csv line 2 has 3 cells and the header 2"),
        (b"name,colour\na,b\n", r"no column is known to hold the label; choose with --set data\.label_column=NAME"),
        (
            b"path,label,grade\nbenign/0.png,a,b\n",
            r"columns label and grade could each be the label; choose with --set",
        ),
        (b"path,label\nx.png,a\ny.png,b\n", r"labels\.csv"),
    ],
)
def test_a_table_that_cannot_be_used(
    folder: Path, tmp_path: Path, refused: Refused, content: bytes, message: str
) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    refused([folder, "--labels", tmp_path / "labels.csv"], DATA, message)


def test_a_missing_table(folder: Path, tmp_path: Path, refused: Refused) -> None:
    refused([folder, "--labels", tmp_path / "labels.csv"], DATA, r"there is no table of labels .*labels\.csv")


def test_a_column_of_folds_does_not_stop_a_run(folder: Path, tmp_path: Path, program: Program) -> None:
    lines = [f"{path.parent.name}/{path.name},{path.parent.name},{path.stem}" for path in folder.rglob("*.png")]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,fold", *lines]), encoding="utf-8")
    result = program("split", folder, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "split")
    assert result.returncode == 0, result.stderr
    assert "column 'fold' of labels.csv names no side and is ignored" in result.stdout


# Settings


@pytest.mark.parametrize(
    ("assignment", "code", "message"),
    [
        ("training.epoch=3", SETTING, r"unknown setting 'training\.epoch'; did you mean 'training\.epochs'\?"),
        ("trainin.epochs=3", SETTING, r"unknown setting 'trainin'"),
        ("epochs=3", SETTING, r"unknown setting 'epochs'; did you mean 'training\.epochs'\?"),
        ("training.epochs=many", SETTING, r"setting 'training\.epochs' is 'many'; it must be"),
        ("training.epochs=-1", SETTING, r"setting 'training\.epochs' is -1; it must be"),
        (
            "training.epochs",
            SETTING,
            r"--set 'training\.epochs' has no '='; write for example --set training\.epochs=5",
        ),
        ("data.name_pattern=(", SETTING, r"'\(' is not a regular expression"),
        ("split.test_fraction=0.9", SETTING, r"leave nothing to train on"),
        ("model.backbone=resnet_fifty", SETTING, r"'resnet_fifty', which timm does not know"),
        ("split.source=cases", SETTING, r"source is 'cases' but train_cases"),
    ],
)
def test_a_setting_that_cannot_be(folder: Path, refused: Refused, assignment: str, code: int, message: str) -> None:
    refused([folder, "--set", assignment], code, message)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(folder: Path, refused: Refused) -> None:
    refused([folder, "--set", "device.device=cuda"], DEVICE, r"PyTorch sees 0 CUDA GPUs; set device\.device to 'cpu'")


def test_weights_in_a_pickle(folder: Path, tmp_path: Path, program: Program) -> None:
    torch.save({"any": torch.zeros(1)}, tmp_path / "weights.pth")
    wishes = ("model.weights=file", f"model.weights_file={tmp_path / 'weights.pth'}")
    words = [word for wish in wishes for word in ("--set", wish)]
    result = program("fit", folder, *words, "--out", tmp_path / "run")
    require_one_line(
        result,
        WEIGHTS,
        r"weights\.pth is not a \.safetensors file; a run reads no pickles .* Convert it: radpath convert-weights",
    )
    assert not (tmp_path / "run").exists()


def test_native_sizes_with_a_transformer(folder: Path, tmp_path: Path, program: Program) -> None:
    wishes = ("model.backbone=test_vit", "model.weights=none", "pixels.size=native")
    words = [word for wish in wishes for word in ("--set", wish)]
    result = program("fit", folder, *words, "--out", tmp_path / "run")
    message = r"pixels\.size is 'native', which backbone 'test_vit' cannot have: .*; set pixels\.size to 'fixed'"
    require_one_line(result, SETTING, message)
    assert not (tmp_path / "run").exists()


# Experiments and run folders


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = = 3", r"experiment\.toml cannot be read as TOML: .*line 1"),
        ("question = 'x'", r"experiment\.toml: setting 'data' is missing"),
        ("[data]\nimages = 'x'\nlabel = 'y'", r"unknown setting 'data\.label'; did you mean 'data\.labels'\?"),
        ("[data]\nimages = 3", r"setting 'data\.images' is 3; it must be"),
    ],
)
def test_an_experiment_that_cannot_be_read(tmp_path: Path, program: Program, text: str, message: str) -> None:
    (tmp_path / "experiment.toml").write_text(text, encoding="utf-8")
    result = program("train", tmp_path / "experiment.toml", "--out", tmp_path / "run")
    require_one_line(result, SETTING, message)
    assert not (tmp_path / "run").exists()


def test_no_experiment_at_all(tmp_path: Path, program: Program) -> None:
    result = program("train", tmp_path / "experiment.toml")
    require_one_line(result, SETTING, r"there is no settings file .*experiment\.toml; `radpath fit` writes one")
    require_one_line(program("train", tmp_path), SETTING, r"is a folder; name the experiment\.toml inside it")


def test_resuming_something_that_is_no_run(tmp_path: Path, program: Program, finished_run: Path) -> None:
    shutil.copy(finished_run / "experiment.toml", tmp_path / "experiment.toml")
    result = program("train", tmp_path / "experiment.toml", "--resume")
    require_one_line(
        result, SETTING, r"--resume needs the run: name its own experiment\.toml, or its folder with --out"
    )


@pytest.mark.parametrize("command", [("evaluate",), ("predict",)])
def test_a_run_folder_that_is_none(tmp_path: Path, program: Program, folder: Path, command: tuple[str, ...]) -> None:
    images = [folder] * (command == ("predict",))
    require_one_line(program(*command, tmp_path / "none", *images), DATA, r"there is no run folder .*none")
    require_one_line(program(*command, tmp_path, *images), DATA, r"holds no run: experiment\.toml is missing")


@pytest.mark.parametrize(
    "name",
    [
        "predictions.csv",
        "checks.json",
        "findings.json",
        "environment.json",
        "history.csv",
        "padding.json",
        "plan.json",
        "weights.json",
        "manifest.parquet",
        "stamps.json",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "broken", "strange"])
def test_a_run_folder_without_one_of_its_files(
    finished_run: Path, tmp_path: Path, program: Program, name: str, damage: str
) -> None:
    unneeded = shutil.ignore_patterns("checkpoints", "tensorboard")
    run = Path(shutil.copytree(finished_run, tmp_path / "run", ignore=unneeded))
    if damage == "missing":
        (run / name).unlink()
    else:
        (run / name).write_text("{" if damage == "broken" else '{"nothing": 3}', encoding="utf-8")
    result = program("evaluate", run)
    assert result.returncode in {DATA, STALE}, result.stderr
    require_one_line(result, result.returncode, re.escape(str(run)))


def test_a_run_whose_predictions_or_settings_were_edited(finished_run: Path, tmp_path: Path, program: Program) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    text = (run / "predictions.csv").read_text(encoding="utf-8")
    (run / "predictions.csv").write_text(text.replace("train", "test", 1), encoding="utf-8")
    require_one_line(program("evaluate", run), STALE, r"predictions\.csv changed since 'predict' was done; restore it")
    settings = (run / "experiment.toml").read_text(encoding="utf-8")
    (run / "experiment.toml").write_text(settings.replace("epochs = 1\n", "epochs = 2\n"), encoding="utf-8")
    message = r"the settings changed since this run began: training\.epochs was 1 and is 2"
    require_one_line(program("train", run / "experiment.toml", "--resume"), STALE, message)


def test_predicting_images_of_which_none_can_be_read(finished_run: Path, tmp_path: Path, program: Program) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"not an image")
    result = program("predict", finished_run, tmp_path / "images", "--out", tmp_path / "new.csv")
    require_one_line(result, DATA, r"none of the 1 images in .* can be used: ")
    assert not (tmp_path / "new.csv").exists()


# Places to write


def test_a_folder_that_holds_something_already(folder: Path, tmp_path: Path, program: Program) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    result = program("fit", folder, "--out", tmp_path / "run")
    require_one_line(
        result, STORAGE, r"run is not empty; continue that run with --resume, or choose another with --out"
    )
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_file_where_the_folder_should_be(folder: Path, tmp_path: Path, program: Program) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    require_one_line(program("fit", folder, "--out", tmp_path / "file"), STORAGE, r"file is a file; choose another")
    inside = tmp_path / "file" / "run"
    require_one_line(program("fit", folder, "--out", inside), STORAGE, r"a part of this path is a file, not a folder")
    require_one_line(program("scan", folder, "--out", tmp_path / "file"), STORAGE, r"choose another folder with --out")


@pytest.mark.parametrize(("number", "words"), [(errno.EROFS, "read-only"), (errno.EACCES, "permission denied")])
def test_a_place_that_cannot_be_written(
    folder: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", refuse)
    result = program("fit", folder, "--out", tmp_path / "new" / "run")
    require_one_line(result, STORAGE, rf"cannot write .*: .*{words}.*; choose another folder with --out")
    assert not (tmp_path / "new").exists()


def test_a_file_system_without_room_while_training(
    folder: Path, tmp_path: Path, program: Program, fast: tuple[str, ...]
) -> None:
    resource = pytest.importorskip("resource", reason="only Unix limits the size of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))  # pixels fit, the weights of an epoch do not
    try:
        result = program("fit", folder, *fast, "--set", "pixels.size_px=32", "--out", tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = r"cannot write .*safetensors: .*; when there is room, continue with: radpath train .*run/experiment\.toml"
    require_one_line(result, STORAGE, message)
    assert list(tmp_path.rglob("*.part")) == []
    resumed = program("train", tmp_path / "run" / "experiment.toml", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_disk_that_is_really_full(folder: Path, tmp_path: Path, program: Program, fast: tuple[str, ...]) -> None:
    (tmp_path / "disk").mkdir()
    mount = shutil.which("mount")
    words = [str(mount), "-t", "tmpfs", "-o", "size=1500k", "none", str(tmp_path / "disk")]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a small disk")
    try:
        result = program("fit", folder, *fast, "--set", "pixels.size_px=32", "--out", tmp_path / "disk" / "run")
        require_one_line(result, STORAGE, r"cannot write .*: the disk is full; free some space")
        assert list((tmp_path / "disk").rglob("*.part")) == []
    finally:
        subprocess.run([str(shutil.which("umount")), str(tmp_path / "disk")], check=True)


def test_ctrl_c_says_how_to_continue(
    folder: Path, tmp_path: Path, program: Program, fast: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = ("--set", "training.epochs=2", "--set", "pixels.size_px=32")
    words = ("fit", folder, *fast, *two, "--out", tmp_path / "stopped")
    save, saved = Checkpoints.save_state, []

    def save_twice(*args: object, **kwargs: object) -> None:
        save(*args, **kwargs)  # type: ignore[arg-type] # passed on as it came
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save_state", save_twice)
        result = program(*words)
    message = r"^radpath: interrupted; what is finished is kept; continue with: radpath train .*stopped/.* --resume$"
    require_one_line(result, INTERRUPTED, message)
    command = result.stderr.strip().split("continue with: radpath ")[1].split()
    assert program(*command).returncode == 0
    assert (tmp_path / "stopped" / "report.html").is_file()


def test_ctrl_c_while_images_are_read_leaves_nothing(
    folder: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("radpath.recipes.running.prepare", interrupt)
    result = program("fit", folder, "--out", tmp_path / "run")
    require_one_line(result, INTERRUPTED, r"^radpath: interrupted$")
    assert not (tmp_path / "run").exists()


def test_an_experiment_whose_images_changed_is_not_continued(
    folder: Path, tmp_path: Path, program: Program, fast: tuple[str, ...], write_png: WritePng
) -> None:
    zero = ("--set", "pixels.size_px=32", "--set", "training.epochs=0", "--out", tmp_path / "run")
    assert program("fit", folder, *fast, *zero).returncode == 0
    write_png(folder / "benign" / "0.png", 99)
    (folder / "malignant" / "5.png").unlink()
    result = program("train", tmp_path / "run" / "experiment.toml", "--resume")
    message = r"the data changed since this run began: 1 image removed \(malignant/5\.png\); 1 image with other content"
    require_one_line(result, STALE, message)
    assert json.loads((tmp_path / "run" / "stamps.json").read_text(encoding="utf-8"))["evaluate"]
