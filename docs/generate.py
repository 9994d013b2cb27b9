"""Writes what the code itself can tell, so that it cannot drift from it: pages of the reference, and experiments.

In: the command line, the settings, the errors, the run folder, the metrics. Out: pages below ``docs/reference``, and
the files below ``experiments`` with every setting and its comment; their headings, values and reasons stay. With
``--check`` nothing is written, and a file that is not up to date is an error.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer.main
from typer.core import TyperArgument, TyperGroup, TyperOption

from radpath import errors
from radpath.cli.main import app
from radpath.evaluation.metrics import METRICS
from radpath.recipes.experiment import Experiment
from radpath.run_folder import RunFolder
from radpath.settings import parse_settings, render_toml

REFERENCE: Final = Path(__file__).parent / "reference"
EXPERIMENTS: Final = Path(__file__).parents[1] / "experiments"

_NOTE: Final = "<!-- Written by docs/generate.py from the code; change it there, then run `make fix`. -->\n"


def pages() -> dict[str, str]:
    """Return each generated page by its file name."""
    return {
        "command-line.md": _page("Command line", command_line()),
        "settings.md": _page("Settings", settings()),
        "exit-codes.md": _page("Errors and exit codes", exit_codes()),
        "run-folder.md": _page("The run folder", run_folder()),
        "metrics.md": _page("Metrics", metrics()),
    }


def _page(title: str, paragraphs: Iterator[str]) -> str:
    return "\n".join([_NOTE, f"# {title}\n", *paragraphs]).rstrip() + "\n"


def command_line() -> Iterator[str]:
    """Yield a section for each command."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    yield f"{_plain(app.info.help)} `radpath --help` lists the commands, `radpath COMMAND --help` explains one.\n"
    for name, command in group.commands.items():
        parameters = [one for one in command.params if isinstance(one, TyperArgument | TyperOption)]
        words = [_placeholder(parameter) for parameter in parameters]
        yield f"## radpath {name}\n"
        yield f"{_plain(command.help)}\n"
        yield f"```text\nradpath {' '.join([name, *words])}\n```\n"
        for parameter in parameters:
            yield f"`{_signature(parameter)}`\n: {_plain(parameter.help)}\n"


def _placeholder(parameter: TyperArgument | TyperOption) -> str:
    """Return how a parameter stands in the usage line."""
    signature = _signature(parameter)
    if isinstance(parameter, TyperArgument):
        return signature
    return f"[{signature}] ..." if parameter.multiple else f"[{signature}]"


def _signature(parameter: TyperArgument | TyperOption) -> str:
    if isinstance(parameter, TyperArgument):
        return str(parameter.metavar or parameter.name).upper()
    switch = parameter.opts[0]
    return switch if parameter.is_flag else f"{switch} {parameter.metavar or 'PATH'}"


def settings() -> Iterator[str]:
    """Yield a section for each table of ``experiment.toml``."""
    schema = Experiment.model_json_schema()
    yield (
        "One run is one `experiment.toml`. `radpath fit` writes it complete, with the reason of every choice; "
        "`--set KEY=VALUE` changes one setting. An unknown key, a wrong type or an impossible combination is an error "
        "that names the key and the nearest match.\n"
    )
    yield from _table(schema, schema["$defs"], prefix="")


def _table(group: Mapping[str, Any], groups: Mapping[str, Any], *, prefix: str) -> Iterator[str]:
    """Yield the settings of one table, then a section for each table inside it."""
    inner: dict[str, Mapping[str, Any]] = {}
    for name, field in group["properties"].items():
        if "$ref" in field:
            inner[f"{prefix}{name}"] = groups[field["$ref"].rsplit("/", 1)[-1]]
        else:
            yield _setting(f"{prefix}{name}", field, required=name in group.get("required", []))
    for name, table in inner.items():
        yield f"## \\[{name}]\n"
        yield f"{_plain(table.get('description'))}\n"
        yield from _table(table, groups, prefix=f"{name}.")


def _setting(key: str, field: Mapping[str, Any], *, required: bool) -> str:
    if required:
        default = "must be given"
    elif field["default"] is None:
        default = "not set unless given"
    else:
        default = f"default `{_toml(field['default'])}`"
    return f"`{key}`\n: {_kind(field)}; {default}. {_plain(field.get('description'))}\n"


def _kind(field: Mapping[str, Any]) -> str:
    """Return a setting's type and range in words."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    return " or ".join(_kind_of_one(choice) for choice in choices)


def _kind_of_one(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        *others, last = [f"`{_toml(choice)}`" for choice in field["enum"]]
        return f"{', '.join(others)} or {last}"
    if "prefixItems" in field:
        return " and ".join(_kind_of_one(item) for item in field["prefixItems"])
    if field["type"] == "array":
        return f"list of {_kind_of_one(field['items'])}s"
    if field.get("format") == "path":
        return "path"
    if "additionalProperties" in field:
        return f"table with a {_kind_of_one(field['additionalProperties'])} for each name"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    signs = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{word} {field[key]:,}" for key, word in signs.items() if key in field]
    return " ".join([words[field["type"]], " and ".join(limits)]).strip()


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def exit_codes() -> Iterator[str]:
    """Yield a table of all exit codes."""
    yield (
        "Every error that bad input can cause is one line on standard error: what was found, where, and what to do. "
        "The exit code says of which kind it is; in Python it is an exception from `radpath.errors`.\n"
    )
    names = {
        kind.exit_code: f"`{kind.__name__}`"
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.RadpathError) and kind is not errors.RadpathError
    }
    yield "| code | exception | meaning |\n|---|---|---|"
    for code, meaning in errors.exit_codes().items():
        yield f"| {code} | {names.get(code, '')} | {_plain(meaning)} |"


def run_folder() -> Iterator[str]:
    """Yield a table of the files of a run."""
    yield (
        "A run folder holds everything that a run used and made. Every file appears whole or not at all. "
        "`radpath.RunFolder` gives each path by name.\n"
    )
    yield "| file | name in Python | what it holds |\n|---|---|---|"
    nowhere = RunFolder(Path())
    for name, member in vars(RunFolder).items():
        if isinstance(member, property):
            yield f"| `{getattr(nowhere, name)}` | `{name}` | {_plain(member.__doc__)} |"


def metrics() -> Iterator[str]:
    """Yield a table of all metrics."""
    yield (
        "TP, FP, TN, FN count images decided rightly and wrongly for and against a class; p is a probability, y is 1 "
        "for the true class and 0 for the others. With two classes, ranking metrics are those of the positive class; "
        "with more, each class is taken against the rest, and the macro average is the plain mean.\n"
    )
    yield "| metric | key in `metrics.json` | formula | best | undefined where |\n|---|---|---|---|---|"
    for key, metric in METRICS.items():
        cells = (metric.title, f"`{key}`", metric.formula, metric.best, metric.undefined_when)
        yield f"| {' | '.join(_plain(cell) if cell[0] != '`' else cell for cell in cells)} |"


def _plain(text: str | None) -> str:
    """Return one line in which Markdown finds neither tags nor columns; two backquotes become one."""
    line = " ".join((text or "").replace("``", "`").split())
    return line.replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("^", "\\^")


_HEADING_ENDS: Final = "Relative paths start at the folder where radpath is run."
_TABLE: Final = re.compile(r"\[([a-z_.]+)\]")
_REASON: Final = re.compile(r"# Chosen because (.+)")
_VALUE: Final = re.compile(r"(?:# )?([a-z_]+)(?: = | is not set$)")


def complete_experiment(text: str) -> str:
    """Return an experiment with every setting and its comment; heading, values and reasons stay.

    Args:
        text: TOML whose heading ends as those of all experiments do; settings may be missing.
    """
    heading, end, body = text.partition(_HEADING_ENDS)
    lines = [line.removeprefix("#").removeprefix(" ") for line in (heading + end).splitlines()]
    experiment = parse_settings(Experiment, tomllib.loads(text), source="an experiment")
    return render_toml(experiment, heading="\n".join(lines), reasons=_reasons(body))


def _reasons(body: str) -> dict[str, str]:
    """Return why settings have their values, by dotted name: what stands in the comment right above each."""
    reasons: dict[str, str] = {}
    table = reason = ""
    for line in body.splitlines():
        if found := _TABLE.fullmatch(line):
            table = f"{found[1]}."
        elif (found := _VALUE.match(line)) and reason:
            reasons[f"{table}{found[1]}"] = reason
        told = _REASON.fullmatch(line)
        reason = told[1] if told else ""
    return reasons


def generated() -> dict[Path, str]:
    """Return what each file should hold."""
    experiments = sorted(EXPERIMENTS.glob("*.toml"))
    return {
        **{REFERENCE / name: text for name, text in pages().items()},
        **{path: complete_experiment(path.read_text(encoding="utf-8")) for path in experiments},
    }


def main(arguments: list[str]) -> int:
    """Write the files, or check them; return the exit code."""
    files = generated()
    outdated = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in outdated:
            sys.stdout.write(f"{path} is not up to date; run `make fix`\n")
        return 1 if outdated else 0
    for path in outdated:
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
