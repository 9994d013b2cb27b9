"""What Python callers give becomes what the recipes take: settings as texts, places, and the same as a command line."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radpath.data.location import Location

Value = str | bool | int | float | Path | Sequence[str]
"""What a setting can hold."""


def assignments_of(settings: Mapping[str, Value] | None) -> list[str]:
    """Return settings as the command line takes them: JSON's texts, numbers and lists are TOML's too."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in (settings or {}).items()}
    return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in plain.items()]


def command_of(name: str, places: Sequence[Path | str], assignments: list[str], **options: Path | str | None) -> str:
    """Return the command line that does the same, for the report."""
    given = [word for option, value in options.items() if value is not None for word in (f"--{option}", str(value))]
    sets = [word for assignment in assignments for word in ("--set", assignment)]
    return shlex.join(["radpath", name, *map(str, places), *given, *sets])


def place_of(given: Path | str | None) -> "Location | None":
    """Return the path or address that was given, if one was."""
    from radpath.data.location import parse_location

    return None if given is None else parse_location(given)


def path_of(given: Path | str | None) -> Path | None:
    """Return the path that was given, if one was."""
    return None if given is None else Path(given)
