"""The documentation says what is true: every command parses, every setting is known, every Python block runs."""

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import typer.main
from typer.core import TyperGroup

import radpath
from radpath.cli.main import app
from radpath.data.synthetic import SizeRange, write_synthetic
from radpath.errors import exit_codes
from radpath.evaluation.metrics import METRICS
from radpath.recipes.experiment import Experiment, compose_experiment
from radpath.run_folder import RunFolder
from radpath.settings import flatten, setting_names

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")),
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
]

TINY = {
    "training.epochs": 0,
    "pixels.size": "fixed",
    "pixels.size_px": 32,
    "evaluation.replicates": 100,
}

PREDICTIONS = """record_id,case,split,truth,probability:benign,probability:malignant
a,1,train,benign,0.9,0.1
b,2,train,malignant,0.2,0.8
c,3,validation,benign,0.7,0.3
d,4,validation,malignant,0.4,0.6
e,5,test,benign,0.8,0.2
f,6,test,malignant,0.1,0.9
"""


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def shell_lines(path: Path) -> list[str]:
    lines = [line for block in blocks(path, "bash") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    specification = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_what_the_code_writes_is_up_to_date(generate: ModuleType) -> None:
    for path, text in generate.generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{named(path)}: run `make fix`"


def test_an_experiment_is_completed_with_its_heading_values_and_reasons_kept(generate: ModuleType) -> None:
    heading = "# What it is.\n#\n# Relative paths start at the folder where radpath is run.\n"
    reason = "# Chosen because more is = too long\nepochs = 3\n"
    text = generate.complete_experiment(
        f'{heading}question = "Q?"\n[data]\nimages = "here"\n[training]\n# An old comment.\n{reason}patience = 2\n'
    )
    assert text.startswith(f"{heading}# What the model is asked")
    assert reason in text
    assert "An old comment" not in text
    assert text.count("Chosen because") == 1
    values = flatten(tomllib.loads(text))
    assert (values["data.images"], values["training.epochs"], values["training.patience"]) == ("here", 3, 2)
    assert (
        values["pixels.size_px"]
        == flatten(compose_experiment({"data": {"images": "x"}}, []).model_dump())["pixels.size_px"]
    )
    assert generate.complete_experiment(text) == text


def test_every_command_and_option_is_documented_and_has_help() -> None:
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        assert f"## radpath {name}\n" in page
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_every_setting_is_documented_with_its_meaning() -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    for key in setting_names(Experiment):
        entry = re.search(rf"^`{re.escape(key)}`\n: (.+?); (.+?)\. (\S.*)$", page, flags=re.MULTILINE)
        assert entry is not None, key


def test_every_exit_code_is_documented() -> None:
    page = (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    for code in exit_codes():
        assert f"| {code} |" in page


def test_every_file_of_a_run_and_every_metric_is_documented() -> None:
    files = (DOCS / "reference" / "run-folder.md").read_text(encoding="utf-8")
    metrics = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in files for name, member in vars(RunFolder).items() if isinstance(member, property))
    assert all(f"`{key}`" in metrics for key in METRICS)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_command_of_a_page_can_be_typed(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in shell_lines(path):
        program, *words = shlex.split(line, comments=True)
        if program == "make":
            assert words[0] in targets, line
        elif program == "radpath":
            check_radpath(words)
        else:
            assert [program, *words] == ["pip", "install", "."], line


def check_radpath(words: list[str]) -> None:
    """Parse a command as radpath would, and its settings too, without running it."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands[words[0]]
    context = command.make_context(words[0], words[1:])
    settings = context.params.get("settings") or []
    compose_experiment({"data": {"images": "images"}}, settings)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_toml_block_of_a_page_is_a_part_of_an_experiment(path: Path) -> None:
    for block in blocks(path, "toml"):
        values = tomllib.loads(block)
        compose_experiment({**values, "data": {"images": "images", **values.get("data", {})}}, [])


def test_every_setting_that_a_page_names_is_known() -> None:
    known = set(setting_names(Experiment))
    groups = {key.split(".")[0] for key in known if "." in key}
    for path in PAGES:
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)[` =]", path.read_text(encoding="utf-8")):
            if name.split(".")[0] in groups and not name.endswith((".md", ".py")):
                assert name in known, f"{named(path)}: {name}"


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, "python")], ids=named)
def test_the_python_of_a_page_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_synthetic(
        tmp_path / "study",
        cases_per_class=3,
        images_per_case=(1, 1),
        seed=0,
        sizes=SizeRange(smallest_px=30, median_px=32, largest_px=40),
        faults=False,
    )
    study.images.rename(tmp_path / "images")
    study.labels.rename(tmp_path / "labels.csv")
    (tmp_path / "predictions.csv").write_text(PREDICTIONS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(radpath, "fit", partial(fit_fast, radpath.fit, pattern=study.name_pattern))
    scope: dict[str, object] = {}
    for block in blocks(path, "python"):
        exec(compile(block, named(path), "exec"), scope)  # noqa: S102 - our own documentation


def fit_fast(
    fit: Callable[..., RunFolder], images: str, *, labels: str, settings: dict[str, radpath.Value], pattern: str
) -> RunFolder:
    return fit(images, labels=labels, settings={**settings, **TINY, "data.name_pattern": pattern})


def test_every_link_to_a_file_leads_somewhere() -> None:
    for path in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{named(path)}: {target}"


def test_decisions_are_short_and_complete() -> None:
    for path in sorted((DOCS / "decisions").glob("0*.md")):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40, path.name
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"], path.name


def test_the_changelog_has_an_entry_for_this_version() -> None:
    assert re.search(rf"^## {re.escape(radpath.__version__)} ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)


def test_defaults_that_the_guide_states_are_true() -> None:
    defaults = flatten(compose_experiment({"data": {"images": "images"}}, []).model_dump(mode="json"))
    stated = {
        "split.test_fraction": 0.2,
        "split.validation_fraction": 0.15,
        "split.leaks": "stop",
        "model.norm_statistics": "frozen",
        "training.head_start": "logistic",
        "training.loss.class_weights": "balanced",
        "evaluation.confidence": 0.95,
        "evaluation.replicates": 2000,
    }
    assert {key: defaults[key] for key in stated} == stated
