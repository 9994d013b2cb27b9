"""Strict settings: TOML in, frozen objects out, and errors that name the key, the value and the nearest match.

Each group of settings is declared beside the code that reads it, as a subclass of ``Settings`` whose fields are
documented by the string below them. ``recipes.experiment`` composes the groups. Nothing here knows any setting's name.
"""

import copy
import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomlkit
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from radpath.errors import SettingsError

AnySettings = TypeVar("AnySettings", bound="Settings")


class Settings(BaseModel):
    """Base of every group of settings: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
        protected_namespaces=(),
    )


def parse_settings(kind: type[AnySettings], values: Mapping[str, Any], *, source: str) -> AnySettings:
    """Build ``kind`` from plain values as TOML holds them.

    Args:
        kind: the group of settings to build.
        values: nested tables, as ``tomllib`` returns them.
        source: where the values came from, for the error message.

    Raises:
        SettingsError: a key is unknown, a value has the wrong type, or two settings contradict each other.
    """
    try:
        # JSON mode is strict about types and still reads paths from strings and tuples from arrays.
        return kind.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise SettingsError(f"{source}: {_explain(kind, error.errors()[0])}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        SettingsError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no settings file {path}; `radpath fit` writes one") from None
    except IsADirectoryError:
        raise SettingsError(f"{path} is a folder; name the experiment.toml inside it") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from None


def override(values: Mapping[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Return ``values`` with ``key=value`` assignments applied; the value is TOML, or a bare word taken as text.

    Raises:
        SettingsError: an assignment has no ``=``, or passes through a key that is not a table.

    >>> override({"training": {"epochs": 20}}, ["training.epochs=5", "model.backbone=resnet18"])
    {'training': {'epochs': 5}, 'model': {'backbone': 'resnet18'}}
    """
    changed: dict[str, Any] = copy.deepcopy(dict(values))
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise SettingsError(f"--set {assignment!r} has no '='; write for example --set training.epochs=5")
        *tables, last = [part.strip() for part in key.split(".")]
        target = changed
        for table in tables:
            target = target.setdefault(table, {})
            if not isinstance(target, dict):
                raise SettingsError(f"--set {assignment!r}: '{table}' is a value, not a table of settings")
        target[last] = _toml_value(text.strip())
    return changed


def _toml_value(text: str) -> Any:  # noqa: ANN401 - whatever TOML can hold
    """Read one TOML value; a text that is not TOML stands for itself, so that words need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def render_toml(settings: Settings, *, heading: str, reasons: Mapping[str, str] | None = None) -> str:
    """Render settings as complete TOML in which a comment above each key says what it means.

    Args:
        settings: a group whose fields are groups (tables) or plain values.
        heading: comment lines at the top of the file.
        reasons: for keys such as ``"training.epochs"``, why this value was chosen.
    """
    document = tomlkit.document()
    for line in heading.splitlines():
        document.add(tomlkit.comment(line))
    _fill_table(document, settings, prefix="", reasons=reasons or {})
    return tomlkit.dumps(document)


def _fill_table(table: Any, settings: Settings, *, prefix: str, reasons: Mapping[str, str]) -> None:  # noqa: ANN401 - any of tomlkit's
    """Add each field of ``settings`` to a tomlkit container, plain values before tables as TOML demands."""
    values = settings.model_dump(mode="json")
    for name, field in _ordered_fields(settings):
        key = f"{prefix}{name}"
        value = getattr(settings, name)
        if isinstance(value, Settings):
            inner = tomlkit.table()
            _fill_table(inner, value, prefix=f"{key}.", reasons=reasons)
            table.add(tomlkit.nl())
            table.add(name, inner)
            continue
        for line in (field.description or "").splitlines():
            table.add(tomlkit.comment(line.strip()))
        if key in reasons:
            table.add(tomlkit.comment(f"Chosen because {reasons[key]}"))
        if values[name] is None:
            table.add(tomlkit.comment(f"{name} is not set"))
        else:
            table.add(name, _one_line(values[name]))


def _one_line(value: Any) -> Any:  # noqa: ANN401 - whatever TOML can hold
    """Return what tomlkit writes on one line: a table in braces, since one of its own would end the table around it."""
    if not isinstance(value, dict):
        return value
    line = tomlkit.inline_table()
    line.update({name: _one_line(inner) for name, inner in value.items()})
    return line


def _ordered_fields(settings: Settings) -> Iterator[tuple[str, Any]]:
    fields = type(settings).model_fields.items()
    yield from ((name, field) for name, field in fields if not isinstance(getattr(settings, name), Settings))
    yield from ((name, field) for name, field in fields if isinstance(getattr(settings, name), Settings))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one level with dotted keys; an empty table stays one.

    >>> flatten({"training": {"epochs": 5}})
    {'training.epochs': 5}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _explain(kind: type[Settings], problem: ErrorDetails) -> str:
    """Turn one of pydantic's findings into a line that a person can act on."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"unknown setting '{key}'{_nearest(kind, location)}"
    if problem["type"] == "missing":
        return f"setting '{key}' is missing"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = {"an object": "a table of settings"}.get(message, message)
    if problem["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"setting '{key}' is {problem['input']!r}; it must be {message}"


def _nearest(kind: type[Settings], location: list[str]) -> str:
    """Suggest the known key that looks most like the unknown one, wherever it stands; else list the choices."""
    *tables, name = location
    group: type[Settings] = kind
    for table in tables:
        group = _group_of(group, table) or group
    everywhere = list(setting_names(kind))
    close = difflib.get_close_matches(name, list(group.model_fields), n=1)
    if close:
        return f"; did you mean '{'.'.join([*tables, close[0]])}'?"
    elsewhere = [key for key in everywhere if key.rsplit(".", 1)[-1] == name]
    elsewhere = elsewhere or difflib.get_close_matches(".".join(location), everywhere, n=1)
    if elsewhere:
        return f"; did you mean '{elsewhere[0]}'?"
    return f"; known here: {', '.join(group.model_fields)}"


def setting_names(kind: type[Settings], prefix: str = "") -> Iterator[str]:
    """Yield every setting's dotted name."""
    for name in kind.model_fields:
        group = _group_of(kind, name)
        if group is None:
            yield f"{prefix}{name}"
        else:
            yield from setting_names(group, f"{prefix}{name}.")


def _group_of(kind: type[Settings], name: str) -> type[Settings] | None:
    """Return the group that a field holds, or None where it holds a plain value."""
    field = kind.model_fields.get(name)
    if field is None:
        return None
    for choice in (field.annotation, *get_args(field.annotation)):
        if isinstance(choice, type) and issubclass(choice, Settings):
            return choice
    return None
