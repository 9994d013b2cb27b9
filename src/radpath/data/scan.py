"""The first step of the walk: which images are there, how large they are, and which cannot be read.

In: a folder of images, here or behind an address, or an array file. Out: a ``Manifest`` with one row an image, sizes
from the headers alone. Labels and cases are attached in ``labels``; files are read whole, digested and decoded in
``verify``.
"""

import collections
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from radpath.data.array_file import ARRAY_SUFFIX, array_rows, is_array_file
from radpath.data.dicom.findings import about_dicom
from radpath.data.dicom.recognition import is_nameless_dicom
from radpath.data.findings import counted, exclude_and_note, shortened
from radpath.data.header_rows import NO_ROWS, read_rows
from radpath.data.headers import IMAGE_SUFFIXES, is_image_name
from radpath.data.inputs import DataSettings
from radpath.data.listing import Listing, list_folder
from radpath.data.location import Location
from radpath.data.manifest import Finding, Manifest
from radpath.data.record_filter import keep_by_file
from radpath.data.scan_cache import ScanCache
from radpath.errors import DataError
from radpath.progress import track


def scan(settings: DataSettings, *, cache: Path | None = None) -> Manifest:
    """Return one row for every image below a folder, or inside an array file, sorted by record id.

    An image that cannot be read, or that the settings do not want, is excluded with its reason; so is a folder that
    cannot be listed. Whatever else stands in the folder is counted in a finding. Links are followed, unless they lead
    back to a folder around them. The file digest is left to ``verify``, since a scan reads headers only.

    Args:
        settings: where the images are, how they are read, and which are wanted.
        cache: a folder that remembers what was read; files that have not changed since are not opened again, and a scan
            that was interrupted goes on where it stopped. None: nothing is remembered.

    Raises:
        DataError: the folder is missing or unreadable, or holds no images.
        StorageError: the cache cannot be written.
    """
    if is_array_file(settings.images):
        file = _required_file(settings.images)
        return keep_by_file(Manifest.from_rows(file.parent, array_rows(file)), settings)
    listing = _list_images(settings)
    rows = _read_all(settings, listing, ScanCache(cache, settings))
    manifest = Manifest.from_table(settings.images, _with_given_up(rows, listing).drop("reason", "detail"))
    problems = _problems(rows, listing)
    for reason in sorted(problems):
        manifest = exclude_and_note(manifest, problems[reason], reason=reason)
    wanted = keep_by_file(manifest, settings)
    return wanted.note(*about_dicom(wanted), *_about_the_rest(listing))


def _required_file(location: Location) -> Path:
    if not isinstance(location, Path):
        raise DataError(f"{location} is an array file behind an address; copy it to this machine first")
    if not location.is_file():
        raise DataError(f"there is no array file {location}")
    return location


def _list_images(settings: DataSettings) -> Listing:
    """List a folder that must hold images; the table of labels may lie in it and is no surprise."""
    folder = settings.images
    try:
        if not folder.is_dir():
            found = "is a file" if folder.is_file() else "does not exist"
            raise DataError(f"{folder} {found}; give a folder of images ({_readable()}) or a {ARRAY_SUFFIX} file")
        listing = list_folder(folder, is_image_name=is_image_name, is_image=is_nameless_dicom, ignored=settings.labels)
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror or error}") from None
    if not listing.has_images and not listing.given_up:
        holds = f"only {_counted_suffixes(listing.others)}" if listing.others else "nothing"
        raise DataError(f"{folder} holds no images, {holds}; radpath reads {_readable()}")
    return listing


def _read_all(settings: DataSettings, listing: Listing, cache: ScanCache) -> pl.DataFrame:
    """Return one row an image, from the cache where the file has not changed, else from its header."""
    found = listing.take_frame()
    known = cache.recall(found)
    missing = found if known is None else found.join(known, on="path", how="anti")
    tables = [] if known is None else [known]
    blocks = read_rows(settings.images, missing, settings)
    for table in track(blocks, total=len(missing), what="scanning", weigh=lambda table: table["path"].n_unique()):
        cache.add(table)
        tables.append(table)
    rows = pl.concat(tables, how="diagonal_relaxed") if tables else NO_ROWS
    cache.finish(rows)
    return rows


def _with_given_up(rows: pl.DataFrame, listing: Listing) -> pl.DataFrame:
    """Name every record, and add one for each file and folder that could not be looked at."""
    own_name = pl.when(pl.col("member") == "").then("path").otherwise(pl.concat_str("path", pl.lit("#"), "member"))
    given_up = pl.DataFrame({"path": list(listing.given_up)}, schema={"path": pl.String})
    named = [rows.with_columns(record_id=own_name).drop("version"), given_up.with_columns(record_id=pl.col("path"))]
    return pl.concat(named, how="diagonal_relaxed")


def _problems(rows: pl.DataFrame, listing: Listing) -> dict[str, dict[str, str]]:
    """Return for each reason the record ids that cannot be read, with the sentence that says why."""
    problems: dict[str, dict[str, str]] = collections.defaultdict(dict)
    for path, reason, detail in (
        rows.filter(pl.col("reason").is_not_null()).select("path", "reason", "detail").iter_rows()
    ):
        problems[reason][path] = detail
    for name, detail in listing.given_up.items():
        problems[detail.partition(":")[0]][name] = detail
    return problems


def _about_the_rest(listing: Listing) -> tuple[Finding, ...]:
    """Report what is no image, so that nothing is dropped in silence."""
    return (
        Finding(
            kind="other-files",
            severity="note",
            count=len(listing.others),
            message=f"{_counted_suffixes(listing.others)}; radpath reads {_readable()}",
            examples=shortened(listing.others),
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
