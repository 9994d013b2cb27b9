"""Finds the image that a table means: by its path, its file name, or its case.

In: the record ids of a folder, and texts from a table. Out: record ids, or matched cases. Nothing is guessed: a text
that fits two images, or a number that fits two cases, fits none.
"""

import collections
import itertools
import os
import posixpath
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

from radpath.data.location import Location

_SEVERAL: Final = ""


class ImageIndex:
    """Looks up the images of one folder by the ways in which tables name them.

    In this order: the path below the images folder; the path below the table's folder, or a whole path, that leads
    into the images folder; the path without its suffix, the file name, or the file name without its suffix, where
    only one image has it.
    """

    def __init__(
        self, record_ids: Sequence[str], *, folder: Location, table_folder: Location, members: Sequence[str] = ()
    ) -> None:
        # Both spellings, since paths in a table may go through a link or around it.
        folders = {_normal(folder.absolute()), _normal(folder.resolve())}
        table_folders = {_normal(table_folder.absolute()), _normal(table_folder.resolve())}
        self._ways = [(start, f"{end}/") for start, end in itertools.product(table_folders, folders)]
        self._by_path = {_composed(record_id): record_id for record_id in record_ids}
        self._by_short_name: dict[str, str] = {}
        for path, record_id in self._by_path.items():
            for name in _short_names(path):
                unique = self._by_short_name.setdefault(name, record_id) == record_id
                self._by_short_name[name] = record_id if unique else _SEVERAL
        # Images inside files that are named themselves; short names mean the file.
        self._by_path |= {_composed(member): member for member in members}

    def find(self, text: str) -> str | None:
        """Return the record id of the only image that ``text`` names, or None."""
        path = _composed(text.replace("\\", "/"))
        if not path:
            return None
        below_folder = posixpath.normpath(path)
        if below_folder in self._by_path:
            return self._by_path[below_folder]
        return self._by_path.get(self._from_table_folder(path)) or self._by_short_name.get(path) or None

    def fits_several(self, text: str) -> bool:
        """Return whether ``text`` is a short name that more than one image has."""
        return self.find(text) is None and self._by_short_name.get(_composed(text)) == _SEVERAL

    def _from_table_folder(self, path: str) -> str:
        """Return the path below the images folder, or "" where it leads elsewhere."""
        for table_folder, folder in self._ways:
            # Plain texts, since a million rows would cost a minute with pathlib.
            joined = path if "://" in path else os.path.join(table_folder, path)  # noqa: PTH118 - for speed
            whole = posixpath.normpath(joined.replace(os.sep, "/"))
            if whole.startswith(folder):
                return _composed(whole[len(folder) :])
        return ""


def _normal(location: Location) -> str:
    """Return the path from the root, or the address, without ``..`` and with single slashes; links stay as they are."""
    return posixpath.normpath(str(location).replace(os.sep, "/"))


def _composed(text: str) -> str:
    """Return the composed Unicode form: macOS stores an accented letter as two characters, most tables as one."""
    return unicodedata.normalize("NFC", text)


def _short_names(path: str) -> set[str]:
    whole = PurePosixPath(path)
    return {whole.with_suffix("").as_posix(), whole.name, whole.stem}


def match_cases(in_names: Iterable[str], in_table: Iterable[str]) -> dict[str, str]:
    """Return, for each case in the images' names, the case of the table that it is.

    Equal texts match. Two texts of digits match by their number where no other text on either side has that number,
    since tables opened in a spreadsheet lose leading zeros.

    >>> match_cases(["007", "8", "08"], ["7", "8"])
    {'007': '7', '8': '8'}
    """
    names, cases = sorted(set(in_names)), set(in_table)
    names_by_number, cases_by_number = _by_number(names), _by_number(cases)
    matches = {}
    for name in names:
        number = _number(name)
        if name in cases:
            matches[name] = name
        elif len(names_by_number.get(number, [])) == len(cases_by_number.get(number, [])) == 1:
            matches[name] = cases_by_number[number][0]
    return matches


def _by_number(texts: Iterable[str]) -> dict[str, list[str]]:
    by_number = collections.defaultdict(list)
    for text in texts:
        if _number(text):
            by_number[_number(text)].append(text)
    return by_number


def _number(text: str) -> str:
    """Return a text of digits without leading zeros, and "" for any other text."""
    return (text.lstrip("0") or "0") if text.isascii() and text.isdigit() else ""
