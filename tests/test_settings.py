"""Settings are strict, say what is wrong with them, and come back from their own TOML as they were."""

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, field_validator, model_validator

from radpath.errors import SettingsError
from radpath.settings import Settings, flatten, override, parse_settings, read_toml, render_toml, setting_names


class Schedule(Settings):
    """How fast."""

    rate: float = 1e-4
    """Of the first step."""
    milestones: tuple[int, ...] = ()
    """Where it falls."""


class Training(Settings):
    """How long."""

    epochs: int = Field(default=20, ge=0)
    """Passes over the data.
    0 is allowed."""
    shuffle: bool = True
    """Another order in every epoch."""
    kind: Literal["short", "long"] = "short"
    """Which plan."""
    schedule: Schedule = Schedule()
    """The schedule."""

    @field_validator("epochs")
    @classmethod
    def _no_bad_luck(cls, epochs: int) -> int:
        if epochs == 13:
            raise ValueError("13 brings bad luck; take 12")
        return epochs

    @model_validator(mode="after")
    def _long_plans_need_epochs(self) -> "Training":
        if self.kind == "long" and self.epochs < 5:
            raise ValueError("kind = 'long' needs epochs of 5 or more")
        return self


class Everything(Settings):
    """The composition; plain values stand behind a table, on purpose."""

    training: Training = Training()
    """The table."""
    images: Path
    """Where the images are."""
    note: str | None = None
    """For people."""
    names: list[str] = Field(default_factory=list)
    """Of the classes."""


MINIMAL: dict[str, Any] = {"images": "in"}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"imagez": "x"}, "unknown setting 'imagez'; did you mean 'images'?"),
    "unknown key in a table": (
        {"training": {"epoch": 5}},
        "unknown setting 'training.epoch'; did you mean 'training.epochs'?",
    ),
    "key of another table": ({"epochs": 5}, "unknown setting 'epochs'; did you mean 'training.epochs'?"),
    "key of a table above": (
        {"training": {"rate": 0.1}},
        "unknown setting 'training.rate'; did you mean 'training.schedule.rate'?",
    ),
    "key like nothing": ({"qqq": 5}, "unknown setting 'qqq'; known here: training, images, note, names"),
    "missing": ({"images": ...}, "setting 'images' is missing"),
    "word for a number": (
        {"training": {"epochs": "many"}},
        "setting 'training.epochs' is 'many'; it must be a valid integer",
    ),
    "number in quotes": (
        {"training": {"schedule": {"rate": "1e-4"}}},
        "setting 'training.schedule.rate' is '1e-4'; it must be a valid number",
    ),
    "fraction for a count": (
        {"training": {"epochs": 5.0}},
        "setting 'training.epochs' is 5.0; it must be a valid integer",
    ),
    "number for a switch": (
        {"training": {"shuffle": 1}},
        "setting 'training.shuffle' is 1; it must be a valid boolean",
    ),
    "switch for a number": (
        {"training": {"epochs": True}},
        "setting 'training.epochs' is True; it must be a valid integer",
    ),
    "no choice": ({"training": {"kind": "lung"}}, "setting 'training.kind' is 'lung'; it must be 'short' or 'long'"),
    "out of range": (
        {"training": {"epochs": -1}},
        "setting 'training.epochs' is -1; it must be greater than or equal to 0",
    ),
    "no number": (
        {"training": {"schedule": {"rate": float("nan")}}},
        "setting 'training.schedule.rate' is nan; it must be a finite number",
    ),
    "value for a table": ({"training": 5}, "setting 'training' is 5; it must be a table of settings"),
    "item of a list": ({"names": ["a", 2]}, "setting 'names.1' is 2; it must be a valid string"),
    "own check": ({"training": {"epochs": 13}}, "training.epochs: 13 brings bad luck; take 12"),
    "contradiction": (
        {"training": {"epochs": 1, "kind": "long"}},
        "training: kind = 'long' needs epochs of 5 or more",
    ),
    "date": ({"training": {"epochs": dt.date(2024, 5, 1)}}, "is '2024-05-01'; it must be a valid integer"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_key_value_and_remedy(case: str) -> None:
    values = {key: value for key, value in {**MINIMAL, **WRONG[case][0]}.items() if value is not ...}
    with pytest.raises(SettingsError) as caught:
        parse_settings(Everything, values, source="experiment.toml")
    message = str(caught.value)
    assert message.startswith("experiment.toml: ")
    assert message.endswith(WRONG[case][1])
    assert "\n" not in message


class Sweep(Settings):
    """Settings that hold a list of groups."""

    plans: list[Schedule] = Field(default_factory=list)
    """One a run."""


def test_an_unknown_key_in_a_list_of_groups_finds_its_neighbour_too() -> None:
    message = r"^test: unknown setting 'plans\.0\.rat'; did you mean 'plans\.0\.rate'\?$"
    with pytest.raises(SettingsError, match=message):
        parse_settings(Sweep, {"plans": [{"rat": 1}]}, source="test")


def test_values_become_what_the_code_wants() -> None:
    read = parse_settings(
        Everything,
        {"images": "a/b", "training": {"schedule": {"rate": 1, "milestones": [3, 5]}}, "names": ["x"]},
        source="test",
    )
    assert read.images == Path("a/b")
    assert read.training.schedule == Schedule(rate=1.0, milestones=(3, 5))
    assert read.training.epochs == 20
    assert read.note is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Schedule().rate = 0.1


ASSIGNMENTS: list[tuple[str, Any]] = [
    ("a.b=5", 5),
    ("a.b = 5", 5),
    ("a.b=1e-4", 1e-4),
    ("a.b=true", True),
    ("a.b=True", "True"),
    ("a.b=no", "no"),
    ("a.b=resnet18.a1_in1k", "resnet18.a1_in1k"),
    ('a.b="quoted"', "quoted"),
    ("a.b=two words", "two words"),
    ("a.b=[1, 2]", [1, 2]),
    ("a.b=['x', 'y']", ["x", "y"]),
    ("a.b=", ""),
    ("a.b=x=y", "x=y"),
    ("a.b=C:\\images", "C:\\images"),
    ("a.b={c = 1}", {"c": 1}),
]


@pytest.mark.parametrize(("assignment", "expected"), ASSIGNMENTS)
def test_an_assignment_is_toml_or_a_bare_word(assignment: str, expected: Any) -> None:
    changed = override({"a": {"b": 0, "c": 1}}, [assignment])
    assert changed == {"a": {"b": expected, "c": 1}}
    assert type(changed["a"]["b"]) is type(expected)


def test_assignments_make_tables_that_are_missing_and_later_ones_win() -> None:
    assert override({}, ["x.y.z=1", "x.y.z=2", "w=3"]) == {"x": {"y": {"z": 2}}, "w": 3}


def test_the_given_values_stay_as_they_are() -> None:
    values = {"a": {"b": [1]}, "day": dt.date(2024, 5, 1)}
    changed = override(values, ["a.b=2"])
    assert values == {"a": {"b": [1]}, "day": dt.date(2024, 5, 1)}
    assert changed["day"] == dt.date(2024, 5, 1)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.epochs", r"^--set 'training\.epochs' has no '='; write for example --set training\.epochs=5$"),
        ("=5", r"^--set '=5' has no '='; write for example"),
        ("a.b.c=5", r"^--set 'a\.b\.c=5': 'b' is a value, not a table of settings$"),
    ],
)
def test_a_bad_assignment_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        override({"a": {"b": 0}}, [assignment])


words = st.text(st.characters(codec="utf-8"), max_size=12)
everything = st.builds(
    Everything,
    training=st.builds(
        Training,
        epochs=st.integers(20, 10**9),
        shuffle=st.booleans(),
        kind=st.sampled_from(["short", "long"]),
        schedule=st.builds(
            Schedule,
            rate=st.floats(allow_nan=False, allow_infinity=False),
            milestones=st.lists(st.integers(-(2**62), 2**62), max_size=3).map(tuple),
        ),
    ),
    images=words.map(Path),
    note=st.none() | words,
    names=st.lists(words, max_size=3),
)


@settings(max_examples=50, deadline=None)
@given(value=everything)
def test_settings_come_back_from_their_own_toml(value: Everything) -> None:
    text = render_toml(value, heading="made\nby a test", reasons={"training.epochs": "there\nare few"})
    assert parse_settings(Everything, tomllib.loads(text), source="round trip") == value


def test_the_toml_says_what_each_setting_means_and_why_it_was_chosen() -> None:
    value = Everything(images=Path("in"), names=["a"])
    text = render_toml(value, heading="First line.\nSecond.", reasons={"training.epochs": "images are few"})
    assert text == (
        "# First line.\n"
        "# Second.\n"
        "# Where the images are.\n"
        'images = "in"\n'
        "# For people.\n"
        "# note is not set\n"
        "# Of the classes.\n"
        'names = ["a"]\n'
        "\n"
        "[training]\n"
        "# Passes over the data.\n"
        "# 0 is allowed.\n"
        "# Chosen because images are few\n"
        "epochs = 20\n"
        "# Another order in every epoch.\n"
        "shuffle = true\n"
        "# Which plan.\n"
        'kind = "short"\n'
        "\n"
        "[training.schedule]\n"
        "# Of the first step.\n"
        "rate = 0.0001\n"
        "# Where it falls.\n"
        "milestones = []\n"
    )


def test_every_setting_stands_in_the_toml(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(render_toml(Everything(images=Path("in"), note="x"), heading=""), encoding="utf-8")
    assert sorted(flatten(read_toml(path))) == sorted(setting_names(Everything))


def test_names_are_dotted_in_the_order_of_declaration() -> None:
    assert list(setting_names(Everything)) == [
        "training.epochs",
        "training.shuffle",
        "training.kind",
        "training.schedule.rate",
        "training.schedule.milestones",
        "images",
        "note",
        "names",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs = ", r"cannot be read as TOML: "),
        (b"a = 1\na = 2", r"cannot be read as TOML: "),
        (b"\xff\xfe", r"cannot be read as TOML: 'utf-8' codec"),
        (None, r"^there is no settings file .*experiment\.toml; `radpath fit` writes one$"),
    ],
)
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "experiment.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        read_toml(path)


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{tmp_path} is a folder; name the experiment.toml inside it")):
        read_toml(tmp_path)


class Weighted(Settings):
    """Holds a table by names."""

    weights: dict[str, dict[str, float]] = Field(default={})
    """Of a pair."""
    last: int = 1
    """Behind it."""


@pytest.mark.parametrize("weights", [{}, {"a b": {"c.d": 2.5, "é": 1.0}, "x": {}}])
def test_a_table_by_names_stands_on_one_line_and_is_read_again(
    tmp_path: Path, weights: dict[str, dict[str, float]]
) -> None:
    path = tmp_path / "x.toml"
    text = render_toml(Weighted(weights=weights), heading="")
    path.write_text(text, encoding="utf-8")
    assert parse_settings(Weighted, read_toml(path), source="x") == Weighted(weights=weights)
    assert text.endswith("\nlast = 1\n")


def test_an_empty_table_is_told_too() -> None:
    assert flatten({"loss": {"costs": {}, "kind": "x"}}) == {"loss.costs": {}, "loss.kind": "x"}
