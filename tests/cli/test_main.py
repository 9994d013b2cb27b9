"""The command line itself: help that answers at once, usage errors, exit codes, and what each command passes on."""

import inspect
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import radpath
from radpath.cli import main
from radpath.errors import DataError, LeakError, exit_codes

Program = Callable[..., "subprocess.CompletedProcess[str]"]

COMMANDS = (
    *("fit", "train", "evaluate", "report", "pick-epoch", "ensemble", "soup", "compare", "predict"),
    *("explain", "robustness"),
    *("scan", "split", "prepare", "preview", "steps", "describe", "audit"),
    *("check-learning", "find-rate", "describe-model", "convert-weights", "benchmark", "doctor", "demo"),
)
HEAVY = ("torch", "timm", "polars", "matplotlib", "numpy", "scipy", "PIL", "tomlkit")


def in_new_process(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


# Typer takes pydantic to parse options, a tenth of a second; the list of commands needs none.
@pytest.mark.parametrize(
    ("words", "heavy"), [(("--help",), (*HEAVY, "pydantic")), (("--version",), HEAVY), (("fit", "--help"), HEAVY)]
)
def test_help_imports_nothing_heavy(words: tuple[str, ...], heavy: tuple[str, ...]) -> None:
    program = f"""
import sys
sys.argv = ["radpath", *{words!r}]
from radpath.cli.main import run
try:
    run()
except SystemExit as stop:
    assert not stop.code
print("heavy:", *(name for name in {heavy!r} if name in sys.modules))
"""
    assert in_new_process(program).stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize(
    ("recipe", "unneeded"), [("inspect", "torch"), ("inspect", "timm"), ("telling", "torch"), ("doctor", "torch")]
)
def test_a_recipe_imports_what_it_needs_and_no_more(recipe: str, unneeded: str) -> None:
    found = in_new_process(f"import sys, radpath.recipes.{recipe}; print({unneeded!r} in sys.modules)")
    assert found.stdout.strip() == "False"


def test_help_names_every_command_and_every_exit_code(program: Program) -> None:
    told = program("--help").stdout
    commands = told.split("Commands:\n")[1].split("\n\n")[0]
    assert [line.split()[0] for line in commands.splitlines()] == [*COMMANDS]
    assert "..." not in commands  # every command's sentence fits
    for code, meaning in exit_codes().items():
        assert any(line.split() == [str(code), *meaning.rstrip(".").split()] for line in told.splitlines()), code


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_its_options(program: Program, command: str) -> None:
    result = program(command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"Usage: radpath {command} ")
    callback = getattr(main, command.replace("-", "_"))
    documented = str(inspect.getdoc(callback)).splitlines()[0]
    assert documented.endswith(".")
    assert documented in result.stdout


def test_the_version(program: Program) -> None:
    assert program("--version").stdout == f"radpath {radpath.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fitt",), "No such command 'fitt'"),
        (("fit",), "Missing argument 'IMAGES'"),
        (("fit", "images", "--lables", "x"), "No such option"),
        (("fit", "images", "--set"), "--set' requires an argument"),
        (("train", "a", "b"), "Got unexpected extra argument"),
    ],
)
def test_usage_errors_are_short_and_end_with_2(program: Program, words: tuple[str, ...], message: str) -> None:
    result = program(*words)
    assert (result.returncode, result.stdout) == (2, "")
    *_, last = result.stderr.strip().splitlines()
    assert last.startswith("Error: ")
    assert message in last


def test_no_words_at_all_show_the_help(program: Program) -> None:
    result = program()
    assert result.returncode == 2
    assert "Commands:" in result.stdout + result.stderr


@pytest.mark.parametrize("error", [DataError("what, where, what to do"), LeakError("first:\n  second")])
def test_an_error_becomes_one_message_and_its_code(
    program: Program, monkeypatch: pytest.MonkeyPatch, error: DataError
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("radpath.recipes.inspect.scan_images", fail)
    result = program("scan", "images")
    assert (result.returncode, result.stdout, result.stderr) == (error.exit_code, "", f"radpath: {error}\n")


def test_a_defect_keeps_its_traceback(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("radpath.recipes.inspect.scan_images", fail)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        program("scan", "images")


@pytest.mark.parametrize(("works", "code"), [(True, 0), (False, 1)])
def test_doctor_ends_with_1_where_something_needed_fails(
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
    works: bool,  # noqa: FBT001 - the parameter of a test
    code: int,
) -> None:
    monkeypatch.setattr("radpath.recipes.doctor.examine", lambda: works)
    assert program("doctor").returncode == code


def test_words_reach_the_recipe_and_the_command_is_kept_as_it_was_typed(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[tuple[object, ...], dict[str, object]]] = []
    monkeypatch.setattr("radpath.recipes.fit.fit", lambda *args, **kwargs: calls.append((args, kwargs)))
    words = ("fit", "my images", "--labels", "l.csv", "--set", "a.b=1", "--set", "question=Is it?", "--out", "o")
    assert program(*words).returncode == 0
    assert calls == [
        (
            (Path("my images"),),
            {
                "labels": Path("l.csv"),
                "assignments": ["a.b=1", "question=Is it?"],
                "out": Path("o"),
                "command": "radpath fit 'my images' --labels l.csv --set a.b=1 --set 'question=Is it?' --out o",
            },
        )
    ]


def test_a_name_that_the_terminal_cannot_show_does_not_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("radpath.recipes.inspect.scan_images", lambda *_, **__: sys.stdout.write("naïve κ\n"))
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "argv", ["radpath", "scan", "images"])
    with pytest.raises(SystemExit) as stop:
        main.run()
    terminal.flush()
    assert not stop.value.code
    assert terminal.buffer.getvalue() == b"na\\xefve \\u03ba\n"


def test_python_dash_m_is_the_same_program() -> None:
    found = subprocess.run([sys.executable, "-m", "radpath", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"radpath {radpath.__version__}\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for other processes")
def test_a_real_ctrl_c_in_a_real_process_ends_with_130(tmp_path: Path, array_file: Path, fast: tuple[str, ...]) -> None:
    words = ("fit", array_file, *fast, "--set", "training.epochs=500", "--set", "training.patience=500")
    run = tmp_path / "run"
    command = [sys.executable, "-m", "radpath", *map(str, words), "--out", str(run)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 240
        while not (run / "checkpoints" / "epoch-0002.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    continued = f"continue with: radpath train {run / 'experiment.toml'} --resume"
    assert told.strip() == f"radpath: interrupted; what is finished is kept; {continued}"
    assert list(run.rglob("*.part")) == []
