from pathlib import Path

from radpath.calling import Value, assignments_of, command_of, path_of, place_of
from radpath.settings import override


def test_settings_become_texts_that_toml_reads_as_the_same_values() -> None:
    wanted: dict[str, Value] = {
        "a.text": 'say "5"',
        "a.number": 1e-4,
        "a.switch": True,
        "a.list": ["x", "y"],
        "a.path": Path("some/file"),
    }
    found = override({}, assignments_of(wanted))
    assert found == {
        "a": {"text": 'say "5"', "number": 1e-4, "switch": True, "list": ["x", "y"], "path": str(Path("some/file"))}
    }
    assert assignments_of(None) == []


def test_a_command_can_be_typed_again() -> None:
    command = command_of("fit", ["my images"], ["training.epochs=5"], labels=Path("l.csv"), out=None)
    assert command == "radpath fit 'my images' --labels l.csv --set training.epochs=5"


def test_places_are_paths_or_addresses_or_nothing() -> None:
    assert place_of("images") == Path("images")
    assert str(place_of("s3://bucket/images")) == "s3://bucket/images"
    assert place_of(None) is None
    assert path_of("out") == Path("out")
    assert path_of(None) is None
