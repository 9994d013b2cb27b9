"""Gives every image its label and case, and its side where one is given; the rest is excluded with a reason.

In: a manifest from ``scan`` and the settings. Out: the same manifest with label, case and perhaps split filled. Labels
come from a table (by image or by case), from the images' names, from an array file, or from folders named after the
classes. Reading the table is ``label_table``'s work, the names are read in ``names``, and dividing is ``split``'s.
"""

import collections
import dataclasses
from collections.abc import Sequence

import polars as pl

from radpath.data.array_file import is_array_file
from radpath.data.dicom.cases import divided_patients, with_case_names
from radpath.data.dicom.identity import is_dicom_case
from radpath.data.findings import counted, exclude_and_note, shortened
from radpath.data.further_columns import attach_further
from radpath.data.image_index import ImageIndex, match_cases
from radpath.data.inputs import DataSettings
from radpath.data.label_checks import checked_labels
from radpath.data.label_set_table import with_label_sets
from radpath.data.label_table import Columns, LabelTable, choose_columns, read_label_table
from radpath.data.manifest import Finding, Manifest
from radpath.data.names import attach_names, read_sides, side_named
from radpath.errors import DataError

Keys = Sequence[str | None]
"""For each row or record, the image or case that it speaks of; None where there is none."""


def attach_labels(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Fill label, case and (where given) split, from the settings' sources.

    A table goes before names, and names before folders. A case that nothing names is the image itself, and marked.
    Afterwards every image has a label and a case, or is excluded with a reason, and findings count what was found.

    Raises:
        DataError: the table or the folders cannot be understood, contradict the names, or fewer than two classes are
            left.
    """
    if settings.keep_columns and settings.labels is None:
        raise DataError("data.keep_columns names columns of a table of labels; name the table with data.labels")
    if is_array_file(settings.images):
        _refuse_other_sources(settings)
        return checked_labels(manifest)
    named = attach_names(manifest, settings.name_pattern) if settings.name_pattern else manifest
    if settings.labels is not None:
        labelled = _attach_table(named, settings)
    elif named.table["label"].null_count() == len(named.table):
        labelled = _attach_folders(named)
    else:
        labelled = named
    return checked_labels(_with_sides_of_folders(labelled))


def _refuse_other_sources(settings: DataSettings) -> None:
    for name in ("labels", "name_pattern"):
        if getattr(settings, name) is not None:
            raise DataError(f"{settings.images} holds its labels, sides and no names; leave out data.{name}")


def _attach_folders(manifest: Manifest) -> Manifest:
    """Take the label from the first folder that is no side of a split; deeper folders do not count."""
    folders = [path.split("/")[:-1] for path in manifest.table["path"]]
    first_is_side = _first_folders_are_sides(manifest)
    below = [parts[1:] if first_is_side else parts for parts in folders]
    labels = pl.Series("label", [parts[0] if parts else None for parts in below], dtype=pl.String)
    return manifest.replace(manifest.table.with_columns(labels))


def _with_sides_of_folders(manifest: Manifest) -> Manifest:
    """Take the sides from folders such as train and test, where nothing else gave any."""
    if manifest.table["split"].null_count() < len(manifest.table) or not _first_folders_are_sides(manifest):
        return manifest
    folders = [path.split("/")[0] if "/" in path else "" for path in manifest.table["path"]]
    sides = [side_named(folder) for folder in folders]
    table = manifest.table.with_columns(pl.Series("split", sides, dtype=pl.String))
    finding = Finding(
        kind="split-by-folders",
        severity="note",
        count=sum(side is not None for side in sides),
        message=f"the sides are those of the folders {', '.join(sorted({*folders} - {''}))}",
    )
    return manifest.replace(table).note(finding)


def _first_folders_are_sides(manifest: Manifest) -> bool:
    """Return whether all folders directly below the images folder are named after sides.

    Raises:
        DataError: some are, and others are not.
    """
    first = sorted({path.partition("/")[0] for path in manifest.table["path"] if "/" in path})
    sides = [folder for folder in first if side_named(folder)]
    others = [folder for folder in first if not side_named(folder)]
    if sides and others:
        raise DataError(
            f"{manifest.images} has folders named after sides of a split ({', '.join(sides)}) beside others "
            f"({', '.join(others[:5])}); put the classes into the sides, or rename the sides"
        )
    return bool(sides)


def _attach_table(manifest: Manifest, settings: DataSettings) -> Manifest:
    """Attach what the table says of each image, or of each case that the images' names tell."""
    assert settings.labels is not None
    table, settings = with_label_sets(read_label_table(settings.labels), settings)
    assert settings.labels is not None
    record_ids = manifest.table["record_id"].to_list()
    file_of = _files_of_members(manifest)
    index = ImageIndex(
        list(dict.fromkeys(file_of.get(record_id, record_id) for record_id in record_ids)),
        folder=settings.images,
        table_folder=settings.labels.parent,
        members=list(file_of),
    )
    cases_in_names = manifest.table["case"].null_count() < len(record_ids)
    columns = choose_columns(table, settings, index.find, cases_in_names=cases_in_names)
    if columns.case is not None:
        names = with_case_names(table.columns[columns.case], manifest.table["case"], settings.dicom)
        table = dataclasses.replace(table, columns={**table.columns, columns.case: names})
    before = manifest
    row_keys, record_keys = _join(manifest, table, columns, index)
    about_rows = (*_about_ignored(table, columns), _about_unmatched(table, columns, row_keys), _about_repeated(table))
    for name, column in (("label", columns.label), ("case", columns.case), ("split", columns.split)):
        if column is not None:
            texts = table.columns[column]
            if name == "split":
                source = f"{table.source}, column '{column}' (ignore it with --set data.split_column=),"
                texts = [side or "" for side in read_sides(texts, source=source)]
            manifest = _attach_column(manifest, name, _texts_of(row_keys, texts), record_keys)
    manifest = attach_further(manifest, table, columns, settings, row_keys=row_keys, record_keys=record_keys)
    return manifest.note(*about_rows, divided_patients(before, manifest))


def _files_of_members(manifest: Manifest) -> dict[str, str]:
    """Return the record id of each image that shares its file with others, with the path of the file."""
    rows = manifest.table.select("record_id", "path", "member").iter_rows()
    return {record_id: path for record_id, path, member in rows if member and record_id == f"{path}#{member}"}


def _join(manifest: Manifest, table: LabelTable, columns: Columns, index: ImageIndex) -> tuple[Keys, Keys]:
    """Return what each row of the table and each record of the manifest speaks of.

    Raises:
        DataError: a row fits several images, or no row fits any.
    """
    row_keys: Keys
    record_keys: Keys
    if columns.path is not None:
        texts = table.columns[columns.path]
        for line_number, text in zip(table.line_numbers, texts, strict=True):
            if index.fits_several(text):
                raise DataError(
                    f"{table.source} line {line_number}: '{text}' fits several images; "
                    f"write their paths below {manifest.images}"
                )
        row_keys = [index.find(text) for text in texts]
        # What the table says of a file holds for every image in it of which it says nothing.
        named_ids, file_of = set(row_keys), _files_of_members(manifest)
        record_keys = [
            record_id if record_id in named_ids else file_of.get(record_id, record_id)
            for record_id in manifest.table["record_id"]
        ]
        named = columns.path
    else:
        assert columns.case is not None
        in_names = manifest.table["case"].to_list()
        matches = match_cases(filter(None, in_names), filter(None, table.columns[columns.case]))
        record_keys = [matches.get(case) for case in in_names]
        row_keys = [case if case in set(matches.values()) else None for case in table.columns[columns.case]]
        named = columns.case
    if not any(row_keys):
        raise DataError(
            f"{table.source}: column '{named}' fits no image below {manifest.images}, for example "
            f"'{table.columns[named][0]}'; an image there is '{manifest.table['path'][0]}'"
        )
    return row_keys, record_keys


def _texts_of(row_keys: Keys, texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the different texts, other than "", that the rows give for each key."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for key, text in zip(row_keys, texts, strict=True):
        if key is not None and text and text not in found[key]:
            found[key].append(text)
    return found


def _attach_column(manifest: Manifest, name: str, texts_of: dict[str, list[str]], record_keys: Keys) -> Manifest:
    """Fill one column; exclude records that are given two texts; stop where a name says something else.

    Raises:
        DataError: the table and the image's name contradict each other.
    """
    given = [texts_of.get(key, []) if key is not None else [] for key in record_keys]
    rows = zip(manifest.table["record_id"], manifest.table[name], given, strict=True)
    values: list[str | None] = []
    doubles: dict[str, str] = {}
    for record_id, in_name, texts in rows:
        if len(texts) > 1:
            doubles[record_id] = f"the table gives it the {name}s {' and '.join(repr(text) for text in texts)}"
            values.append(None)
            continue
        if texts and in_name is not None and not _agree(name, in_name, texts[0]):
            raise DataError(
                f"the {name} of '{record_id}' is '{texts[0]}' in the table and '{in_name}' by data.name_pattern; "
                f"correct one, or set data.{name}_column"
            )
        values.append(texts[0] if texts else in_name)
    filled = manifest.replace(manifest.table.with_columns(pl.Series(name, values, dtype=pl.String)))
    return exclude_and_note(filled, doubles, reason=f"two {name}s")


def _agree(name: str, in_name: str, in_table: str) -> bool:
    """Return whether both say the same; the case of a DICOM header yields to that of a table."""
    if name != "case":
        return in_name == in_table
    return is_dicom_case(in_name) or in_name == in_table or bool(match_cases([in_name], [in_table]))


def _about_ignored(table: LabelTable, columns: Columns) -> list[Finding]:
    return [
        Finding(
            kind="split-column-ignored",
            severity="warning",
            count=1,
            message=f"column '{column}' of {table.source.name} names no side and is ignored; a side is train, "
            "validation or test",
            examples=shortened(sorted(set(table.columns[column]) - {""})),
        )
        for column in columns.ignored
    ]


def _about_unmatched(table: LabelTable, columns: Columns, row_keys: Keys) -> Finding:
    texts = table.columns[columns.path or columns.case or columns.label]
    unmatched = [
        f"line {line_number}: '{text}'"
        for line_number, text, key in zip(table.line_numbers, texts, row_keys, strict=True)
        if key is None
    ]
    return Finding(
        kind="label-without-image",
        severity="warning",
        count=len(unmatched),
        message=f"{counted(len(unmatched), 'row')} of {table.source.name} without an image",
        examples=shortened(unmatched),
    )


def _about_repeated(table: LabelTable) -> Finding:
    rows = collections.Counter(zip(*table.columns.values(), strict=True))
    repeated = {row: number - 1 for row, number in rows.items() if number > 1}
    return Finding(
        kind="repeated-row",
        severity="note",
        count=sum(repeated.values()),
        message=f"{counted(sum(repeated.values()), 'row')} of {table.source.name} repeated word for word",
        examples=shortened(", ".join(row) for row in repeated),
    )
