"""Several labels an image: which are there, which are not, and which nobody knows.

In: settings, or the labels of a manifest. Out: one text for the whole set of an image's labels, which stands in the
column ``label`` wherever a class would, and what can be asked of such texts: names, a matrix, one row a label. Reading
sets from a table is ``label_set_table``'s work.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import numpy as np
import polars as pl
from jaxtyping import Float32
from pydantic import model_validator

from radpath.errors import DataError
from radpath.settings import Settings

NONE_OF_THESE: Final = "none of these"
"""Stands for a class where an image has none of the labels for sure."""

_MARKS: Final[dict[bool | None, str]] = {True: "1", False: "0", None: "?"}
_ANSWERS: Final = {mark: answer for answer, mark in _MARKS.items()}
_SIGNS_OF_SETS: Final = "{}|="


class LabelSetSettings(Settings):
    """Several labels an image, each there or not there, such as the findings of a radiograph."""

    columns: tuple[str, ...] = ()
    """Columns of the table that are a label each: 1 where it is there, 0 where not, empty where nobody knows. []: an
    image has one class, unless separator says otherwise."""
    separator: str = ""
    """The sign between the labels of one column (data.label_column), such as | in Effusion|Mass; "": none."""
    names: tuple[str, ...] = ()
    """With separator: the labels to learn, of those in the column; []: all."""
    none_name: str = "No Finding"
    """With separator: what the column says of an image without any label; upper and lower case are the same."""
    uncertain: Literal["missing", "positive", "negative"] = "missing"
    """What -1 in a column means, the mark of an uncertain finding: not known, there, or not there."""

    @property
    def are_used(self) -> bool:
        """Whether an image has several labels."""
        return bool(self.columns or self.separator)

    @model_validator(mode="after")
    def _labels_come_from_one_place(self) -> "LabelSetSettings":
        if self.columns and self.separator:
            raise ValueError(
                f"columns names {len(self.columns)} columns, and separator is '{self.separator}'; labels stand in "
                "columns of their own or together in one: set one of the two"
            )
        if len(set(self.columns)) == 1:
            raise ValueError(
                f"columns names '{self.columns[0]}' alone, which is a question with two answers; set "
                "data.label_column to it, and leave data.label_sets.columns out"
            )
        if self.names and not self.separator:
            raise ValueError("names chooses among the labels of one column; set separator, or leave names out")
        return self


def encoded(answers: Mapping[str, bool | None]) -> str:
    """Return a set of labels as one text; None stands for what nobody knows.

    Raises:
        DataError: a name holds a sign that the text needs, is empty, or stands for no label at all.

    >>> encoded({"effusion": True, "mass": False, "nodule": None})
    '{effusion=1|mass=0|nodule=?}'
    """
    for name in answers:
        if not name or name == NONE_OF_THESE or any(sign in name for sign in _SIGNS_OF_SETS):
            raise DataError(
                f"a label is called '{name}'; its name must not be empty or '{NONE_OF_THESE}', nor hold any of "
                f"{' '.join(_SIGNS_OF_SETS)}; rename it in the table"
            )
    return "{" + "|".join(f"{name}={_MARKS[answer]}" for name, answer in answers.items()) + "}"


def is_label_set(text: str | None) -> bool:
    """Return whether a label is a set of labels.

    >>> is_label_set("{effusion=1|mass=0}"), is_label_set("effusion")
    (True, False)
    """
    return text is not None and text.startswith("{") and text.endswith("}") and "=" in text


def decoded(text: str) -> dict[str, bool | None]:
    """Return what ``encoded`` was given.

    >>> decoded("{effusion=1|mass=?}")
    {'effusion': True, 'mass': None}
    """
    pairs = (part.rpartition("=") for part in text[1:-1].split("|"))
    return {name: _ANSWERS[mark] for name, _, mark in pairs}


def names_of(labels: Iterable[str | None]) -> tuple[str, ...] | None:
    """Return the names in sets of labels, which are the same in each; None where images have one class."""
    first = next((text for text in labels if text is not None), None)
    return tuple(decoded(first)) if is_label_set(first) and first is not None else None


def label_matrix(labels: Sequence[str | None], names: Sequence[str]) -> Float32[np.ndarray, "images labels"]:
    """Return 1 where a label is there, 0 where not, NaN where nobody knows.

    >>> label_matrix(["{a=1|b=?}", None], ["b", "a"]).tolist()
    [[nan, 1.0], [nan, nan]]
    """
    unknown = [np.nan] * len(names)
    numbers = {True: 1.0, False: 0.0, None: np.nan}
    row_of: dict[str | None, list[float]] = {None: unknown}
    for text in dict.fromkeys(labels):
        if text is not None:
            answers = decoded(text)
            row_of[text] = [numbers[answers[name]] for name in names]
    return np.array([row_of[text] for text in labels], dtype=np.float32).reshape(len(labels), len(names))


def one_row_a_class(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with a class as their label: each image as often as it has labels, else once.

    Where images have one class, the rows are returned as they are. An image with none of its labels comes as
    ``NONE_OF_THESE``.

    >>> one_row_a_class(pl.DataFrame({"label": ["{a=1|b=1}", "{a=0|b=?}"]}))["label"].to_list()
    ['a', 'b', 'none of these']
    """
    texts = rows["label"].drop_nulls().unique().to_list()
    if names_of(texts) is None:
        return rows
    there = [[name for name, answer in decoded(text).items() if answer] or [NONE_OF_THESE] for text in texts]
    schema = {"label": pl.String(), "classes": pl.List(pl.String())}
    classes_of = pl.DataFrame({"label": texts, "classes": there}, schema=schema)
    joined = rows.join(classes_of, on="label", how="left", maintain_order="left")
    return joined.explode("classes").with_columns(label=pl.col("classes")).drop("classes")


def classes_among(rows: pl.DataFrame) -> tuple[str, ...]:
    """Return the classes that rows have, or the labels that they speak of, in no particular order."""
    return names_of(rows["label"].to_list()) or tuple(rows["label"].drop_nulls().unique().to_list())


def unanswered(rows: pl.DataFrame) -> dict[str, str]:
    """Return the labels of which rows know no image with it, or none without it, and which of these; {} of classes."""
    texts = rows["label"].drop_nulls().unique().to_list()
    names = names_of(texts)
    if names is None:
        return {}
    known = label_matrix(texts, names)
    lacking: dict[str, str] = {}
    for place, name in enumerate(names):
        if not (known[:, place] == 1).any():
            lacking[name] = "with"
        elif not (known[:, place] == 0).any():
            lacking[name] = "without"
    return lacking
