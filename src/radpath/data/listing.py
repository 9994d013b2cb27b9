"""What stands below a folder, on this machine or behind an address: names, sizes and versions, without opening a file.

In: a folder. Out: a ``Listing``. What the files are is read in ``header_rows``.
"""

import dataclasses
import operator
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import polars as pl

from radpath.data.findings import unreadable
from radpath.data.location import Location, RemotePath, provider_errors, version_of
from radpath.data.reading import patiently

SETTLED_NS: Final = 2_000_000_000
"""A file that was written later before the listing may get another content with the same time; the coarsest clocks of
file systems tick every two seconds."""

_FILES_A_TABLE: Final = 8192
_COLUMNS: Final[dict[str, pl.DataType]] = {"path": pl.String(), "bytes": pl.Int64(), "version": pl.String()}


@dataclasses.dataclass(kw_only=True)
class Listing:
    """Names are relative to the folder, with forward slashes, in an order that does not depend on the file system."""

    given_up: dict[str, str] = dataclasses.field(default_factory=dict)
    """Folders (with a slash at their end) and files that cannot be looked at, each with the sentence that says why."""
    others: list[str] = dataclasses.field(default_factory=list)
    hidden: list[str] = dataclasses.field(default_factory=list)
    loops: list[str] = dataclasses.field(default_factory=list)
    began_ns: int = dataclasses.field(default_factory=time.time_ns)
    _files: list[tuple[str, int, str]] = dataclasses.field(default_factory=list)
    _tables: list[pl.DataFrame] = dataclasses.field(default_factory=list)

    @property
    def has_images(self) -> bool:
        """True where some file may be an image."""
        return bool(self._files or self._tables)

    def add(self, name: str, num_bytes: int, version: str) -> None:
        """Add a file that may be an image.

        Args:
            name: relative to the folder.
            num_bytes: its size.
            version: what changes whenever it is written; "" where the file system knows no such thing, or where the
                file was written a moment ago, and could be written again without a change of its time.
        """
        self._files.append((name, num_bytes, version))
        if len(self._files) == _FILES_A_TABLE:
            self._pack()

    def take_frame(self) -> pl.DataFrame:
        """Return the files that may be images (path, bytes, version), and forget them here."""
        self._pack()
        tables, self._tables = self._tables, []
        return pl.concat(tables)

    def _pack(self) -> None:
        """Move files into a table, where they take a fraction of the memory."""
        self._tables.append(pl.DataFrame(self._files, schema=_COLUMNS, orient="row"))
        self._files = []


def list_folder(
    folder: Location,
    *,
    is_image_name: Callable[[str], bool],
    is_image: Callable[[Location], bool],
    ignored: Location | None,
) -> Listing:
    """List a folder and all folders below it.

    Links are followed, unless they lead back to a folder around them. A folder inside that cannot be listed, even after
    some attempts, is given up, and the rest is listed.

    Args:
        folder: where to begin.
        is_image_name: tells from its name whether a file may be an image.
        is_image: tells whether another file is one after all; it may look inside.
        ignored: a file that is no surprise in the folder, such as the table of labels.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    listing = Listing()
    if isinstance(folder, RemotePath):
        _visit_remote(folder, is_image_name, is_image, listing)
        others = listing.others if ignored is None else [n for n in listing.others if folder / n != ignored]
    else:
        _visit(folder, "", frozenset(), is_image_name, is_image, listing)
        others = listing.others
        if isinstance(ignored, Path):
            itself = ignored.resolve()
            others = [name for name in others if not name.endswith(itself.name) or (folder / name).resolve() != itself]
    listing.others = others
    return listing


def _visit(
    folder: Path,
    prefix: str,
    around: frozenset[tuple[int, int]],
    is_image_name: Callable[[str], bool],
    is_image: Callable[[Location], bool],
    found: Listing,
) -> None:
    """Add what stands in ``folder`` and below; ``around`` identifies the folders that contain it."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in around:
        found.loops.append(prefix)
        return
    for entry in patiently(lambda: sorted(os.scandir(folder), key=operator.attrgetter("name"))):
        name = prefix + entry.name
        if entry.name.startswith("."):
            found.hidden.append(name)
        elif entry.is_dir():
            try:
                _visit(folder / entry.name, f"{name}/", around | {here}, is_image_name, is_image, found)
            except OSError as error:
                found.given_up[f"{shown(name)}/"] = str(unreadable(error))
        elif (is_image_name(entry.name) and (entry.is_file() or entry.is_symlink())) or (
            entry.is_file() and is_image(folder / entry.name)
        ):
            _add_file(entry, name, found)
        else:
            found.others.append(name)


def _add_file(entry: "os.DirEntry[str]", name: str, found: Listing) -> None:
    if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        # Python holds bytes that are no text as surrogates, which cannot be written into a table.
        found.given_up[shown(name)] = "the file name is not UTF-8: rename the file"
        return
    try:
        status = entry.stat()
    except OSError:
        try:
            status = patiently(lambda: os.stat(entry.path))  # noqa: PTH116 - a new look; an entry remembers its first
        except OSError as error:
            found.given_up[name] = str(unreadable(error))
            return
    is_settled = max(status.st_mtime_ns, status.st_ctime_ns) < found.began_ns - SETTLED_NS
    version = f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}" if is_settled else ""
    found.add(name, status.st_size, version)


def shown(name: str) -> str:
    r"""Return a name as text; bytes that are no text become \x.., as in "b\xe9la.png"."""
    return name if name.isascii() else os.fsencode(name).decode(errors="backslashreplace")


def _visit_remote(
    folder: RemotePath, is_image_name: Callable[[str], bool], is_image: Callable[[Location], bool], found: Listing
) -> None:
    """Add what stands below an address; its file system is asked again, whatever it remembers."""
    folder.filesystem.invalidate_cache()
    waiting = [(folder.key, "")]
    while waiting:
        key, prefix = waiting.pop()
        try:
            entries = patiently(lambda: _list_remote(folder, key))  # noqa: B023 - called at once
        except OSError as error:
            if not prefix:
                raise
            found.given_up[prefix] = str(unreadable(error))
            continue
        for name, entry in entries:
            if name.startswith("."):
                found.hidden.append(prefix + name)
            elif entry["type"] == "directory":
                waiting.append((f"{key.rstrip('/')}/{name}", f"{prefix}{name}/"))
            elif is_image_name(name) or is_image(folder / (prefix + name)):
                found.add(prefix + name, int(entry["size"] or 0), version_of(entry))
            else:
                found.others.append(prefix + name)


def _list_remote(folder: RemotePath, key: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Return name and description of each entry; object stores may list a folder as an empty file inside itself."""
    with provider_errors():
        entries = folder.filesystem.ls(key, detail=True)
    named = ((entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in entries)
    inside = [(name, entry) for name, entry in named if entry["name"].strip("/") != key.strip("/")]
    return sorted(inside, key=lambda item: item[0])
