"""The first step of the walk: which images are there, how large they are, and which cannot be read.

In: a folder of images, or an array file. Out: a ``Manifest`` with one row an image, sizes from the headers alone.
Labels and cases are attached in ``labels``; pixels are decoded in ``verify``.
"""

import collections
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from radpath import files
from radpath.data.array_file import ARRAY_SUFFIX, array_rows, is_array_file
from radpath.data.findings import counted, exclude_and_note, reason_of, shortened, unreadable
from radpath.data.headers import IMAGE_SUFFIXES, read_headers
from radpath.data.inputs import DataSettings
from radpath.data.manifest import Finding, Manifest
from radpath.data.reading import patiently
from radpath.errors import DataError
from radpath.progress import track

MIN_SIDE_PX: Final = 2

_DICOM_SUFFIXES: Final = (".dcm", ".dicom")


@dataclasses.dataclass(kw_only=True)
class _Listing:
    """What stands below a folder; names are relative to it, with forward slashes."""

    images: list[str] = dataclasses.field(default_factory=list)
    others: list[str] = dataclasses.field(default_factory=list)
    hidden: list[str] = dataclasses.field(default_factory=list)
    loops: list[str] = dataclasses.field(default_factory=list)


def scan(settings: DataSettings) -> Manifest:
    """Return one row for every image below a folder, or inside an array file, sorted by record id.

    An image that cannot be read, or whose size is refused, is excluded with its reason. Whatever else stands in the
    folder is counted in a finding. Links are followed, unless they lead back to a folder around them.

    Raises:
        DataError: the folder is missing or unreadable, or holds no images.
    """
    folder = Path(str(settings.images))
    if is_array_file(folder):
        manifest = Manifest.from_rows(folder.parent, array_rows(_required_file(folder)))
        return _exclude_odd_sizes(manifest, settings.max_pixels)
    listing = _list_folder(folder, labels=Path(str(settings.labels)) if settings.labels else None)
    rows, problems = _read_rows(settings, sorted(listing.images))
    manifest = Manifest.from_rows(settings.images, rows)
    for reason in sorted(problems):
        manifest = exclude_and_note(manifest, problems[reason], reason=reason)
    return _exclude_odd_sizes(manifest, settings.max_pixels).note(*_about_the_rest(listing))


def _required_file(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"there is no array file {path}")
    return path


def _list_folder(folder: Path, *, labels: Path | None) -> _Listing:
    """List a folder that must hold images; the table of labels may lie in it and is no surprise."""
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {found}; give a folder of images ({_readable()}) or a {ARRAY_SUFFIX} file")
    listing = _Listing()
    _visit(folder, "", frozenset(), listing)
    if labels is not None:
        listing.others = [name for name in listing.others if (folder / name).resolve() != labels.resolve()]
    if not listing.images:
        holds = f"only {_counted_suffixes(listing.others)}" if listing.others else "nothing"
        dicom = "; DICOM is not read yet" if _dicom_among(listing.others) else ""
        raise DataError(f"{folder} holds no images, {holds}; radpath reads {_readable()}{dicom}")
    return listing


def _visit(folder: Path, prefix: str, around: frozenset[tuple[int, int]], listing: _Listing) -> None:
    """Add what stands in ``folder`` and below; ``around`` identifies the folders that contain it."""
    try:
        identity = folder.stat()
        entries = patiently(lambda: sorted(os.scandir(folder), key=lambda entry: entry.name))
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror}") from None
    here = (identity.st_dev, identity.st_ino)
    if here in around:
        listing.loops.append(prefix)
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.name.startswith("."):
            listing.hidden.append(name)
        elif entry.is_dir():
            _visit(folder / entry.name, f"{name}/", around | {here}, listing)
        elif Path(name).suffix.lower() in IMAGE_SUFFIXES and (entry.is_file() or entry.is_symlink()):
            listing.images.append(name)
        else:
            listing.others.append(name)


def _read_rows(settings: DataSettings, names: list[str]) -> tuple[list[dict[str, object]], dict[str, dict[str, str]]]:
    """Return a row an image, and for each reason the record ids that cannot be read with the sentence that says why."""
    rows: list[dict[str, object]] = []
    problems: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for name in track(names, total=len(names), what="scanning"):
        # A name that is not UTF-8 cannot be written into a table, so the record shows its bytes as \x.. instead.
        path = os.fsencode(name).decode(errors="backslashreplace")
        try:
            _require_text(name)
            rows += [{**facts, "path": path} for facts in _read_facts(settings, name)]
        except DataError as error:
            rows.append({"record_id": path, "path": path})
            problems[reason_of(error)][path] = str(error)
        except OSError as error:
            rows.append({"record_id": path, "path": path})
            problems[reason_of(unreadable(error))][path] = str(unreadable(error))
    return rows, problems


def _require_text(name: str) -> None:
    """Refuse a name whose bytes are no text; Python holds such bytes as surrogates, which UTF-8 cannot write."""
    if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise DataError("the file name is not UTF-8: rename the file")


def _read_facts(settings: DataSettings, name: str) -> list[dict[str, object]]:
    """Return what the header and the bytes of one file say of each image in it, as columns of the manifest."""
    path = Path(str(settings.images)) / name
    headers = patiently(lambda: read_headers(path, settings))
    digest = patiently(lambda: files.digest_file(path))
    whole = {"bytes": path.stat().st_size, "file_digest": digest}
    members = [{**header.to_row(), **whole, "record_id": name} for header in headers if not header.member]
    for header in headers:
        if header.member:
            own = files.digest_bytes(f"{digest} {header.member}".encode())
            members.append({**header.to_row(), **whole, "record_id": f"{name}#{header.member}", "file_digest": own})
    return members


def _exclude_odd_sizes(manifest: Manifest, max_pixels: int) -> Manifest:
    sizes = list(manifest.kept.select("record_id", "width_px", "height_px").iter_rows())
    small = {
        record_id: f"too small: {width} x {height} px; a side must have {MIN_SIDE_PX} px or more"
        for record_id, width, height in sizes
        if min(width, height) < MIN_SIDE_PX
    }
    large = {
        record_id: f"over the pixel limit: {width} x {height} px are more than data.max_pixels = {max_pixels}"
        for record_id, width, height in sizes
        if width * height > max_pixels
    }
    manifest = exclude_and_note(manifest, small, reason="too small")
    return exclude_and_note(manifest, large, reason="over the pixel limit")


def _about_the_rest(listing: _Listing) -> tuple[Finding, ...]:
    """Report what is no image, so that nothing is dropped in silence."""
    dicom = _dicom_among(listing.others)
    return (
        Finding(
            kind="other-files",
            severity="note",
            count=len(listing.others),
            message=f"{_counted_suffixes(listing.others)}; radpath reads {_readable()}",
            examples=shortened(listing.others),
        ),
        Finding(
            kind="dicom-files",
            severity="warning",
            count=len(dicom),
            message=f"{counted(len(dicom), 'DICOM file')} left out: not read yet; export to PNG or TIFF",
            examples=shortened(dicom),
        ),
        Finding(
            kind="hidden-files",
            severity="note",
            count=len(listing.hidden),
            message=f"{counted(len(listing.hidden), 'name')} skipped: hidden, since it starts with a dot",
            examples=shortened(listing.hidden),
        ),
        Finding(
            kind="link-loops",
            severity="note",
            count=len(listing.loops),
            message=f"{counted(len(listing.loops), 'link')} skipped: it leads back to a folder around it",
            examples=shortened(listing.loops),
        ),
    )


def _dicom_among(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.lower().endswith(_DICOM_SUFFIXES)]


def _counted_suffixes(names: Iterable[str]) -> str:
    """Return how many files there are of each suffix, the most frequent first.

    >>> _counted_suffixes(["a.txt", "b.TXT", "LICENSE"])
    '3 other files: .txt (2), no suffix (1)'
    """
    suffixes = collections.Counter(Path(name).suffix.lower() or "no suffix" for name in names)
    ordered = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    return f"{counted(suffixes.total(), 'other file')}: " + ", ".join(f"{name} ({number})" for name, number in ordered)


def _readable() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))
