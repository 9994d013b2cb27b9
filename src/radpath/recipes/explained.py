"""What is kept of explanations: ``index.csv``, one row a map, and the files that its rows name.

In: maps and what is known of their images. Out: files below one folder, each whole or absent; a row stands in the index
only when its files are there. Rows of another model are dropped with their files.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import polars as pl
from PIL import Image

from radpath import files
from radpath.evaluation.explanations import Explained, Explanations, MethodExplanations, Sanity, evidence
from radpath.explanation.maps import EvidenceMap
from radpath.explanation.settings import Method
from radpath.recipes.analyses import EXPLANATION, forget_analysis, read_analysis, write_analysis
from radpath.recipes.choosing import Wanted
from radpath.reporting.contact_sheet import Picture
from radpath.reporting.explanation_section import METHOD_TITLES
from radpath.reporting.heat_map import overlay, pair, panel, sheet_of
from radpath.reporting.thumbnails import is_lossless, thumbnail
from radpath.run_folder import RunFolder

MODEL: Final = "checkpoints/best.safetensors"
"""How stamps name the model."""

_PAIR_PX: Final = 224
_NAME_LENGTH: Final = 60
_MOST_SHOWN: Final = 24  # on the contact sheet and in the report

_FILES: Final = ("map", "overlay", "picture", "thumbnail")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapRow:
    """One row of ``index.csv``; paths are below the folder of the index."""

    record_id: str
    case: str
    split: str
    """Empty for images that are none of the run's."""
    truth: str
    """Empty where it is not known."""
    decision: str
    explained_class: str
    probability: float
    """Of the class that is explained."""
    method: str
    layer: str
    """The stage whose feature map was read; empty for methods that read none."""
    height_px: int
    """Of the map, which is the size that the network saw the image in."""
    width_px: int
    has_evidence: bool
    """False where nothing speaks for the class."""
    map: str
    """The numbers, a float32 array in NumPy's format."""
    overlay: str
    """The image, the evidence drawn over it, and the colour bar."""
    picture: str
    """The image and, below it, the evidence, small."""
    thumbnail: str
    """The evidence drawn over the image, small."""
    key: str
    """Digest of all that the map was made from."""
    model: str
    """Digest of the model."""


@final
class MapIndex:
    """The maps below one folder."""

    def __init__(self, folder: Path, *, model: str) -> None:
        """Read the index, if there is one, and drop what is another model's, or lacks a file."""
        self.folder = folder
        known = _read(folder / "index.csv")
        self.rows = {row.key: row for row in known if row.model == model and _is_complete(folder, row)}
        for row in known:
            if row.key not in self.rows:
                _remove_files(folder, row)

    def add(self, row: MapRow) -> None:
        """Add a row whose files are written; ``save`` writes the index."""
        self.rows[row.key] = row

    def save(self) -> None:
        """Write ``index.csv``, ordered by record, method and class."""
        ordered = sorted(self.rows.values(), key=lambda row: (row.record_id, row.method, row.explained_class, row.key))
        table = pl.DataFrame([dataclasses.asdict(row) for row in ordered], schema=_schema())
        with files.whole_file(self.folder / "index.csv") as unfinished:
            table.write_csv(unfinished)


def _schema() -> dict[str, Any]:
    """Return the type of each column, as polars has it."""
    kinds: dict[Any, Any] = {str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    return {field.name: kinds[field.type] for field in dataclasses.fields(MapRow)}


def _read(path: Path) -> Sequence[MapRow]:
    """Return the rows of an index; none where there is no index of ours."""
    if not path.is_file():
        return ()
    try:
        table = pl.read_csv(path, schema=_schema()).with_columns(pl.col(pl.String).fill_null(""))
    except pl.exceptions.PolarsError:
        return ()
    return tuple(MapRow(**row) for row in table.iter_rows(named=True))


def _is_complete(folder: Path, row: MapRow) -> bool:
    return all((folder / getattr(row, name)).is_file() for name in _FILES)


def _remove_files(folder: Path, row: MapRow) -> None:
    """Delete the files of a row."""
    with files.explained_storage_errors(folder):
        for name in _FILES:
            (folder / getattr(row, name)).unlink(missing_ok=True)


def write_map(
    root: Path,
    wanted: Wanted,
    found: EvidenceMap,
    image: Picture,
    *,
    method: Method,
    layer: str,
    key: str,
    model: str,
) -> MapRow:
    """Write one map and its pictures below ``root``; return its row, which is not in the index yet."""
    name, strengths = _file_name(wanted.record_id, key), evidence(found)
    seen = f"{METHOD_TITLES[method]} for '{wanted.explained_class}', probability {wanted.probability:.2f}"
    truth = "" if wanted.truth is None else f"truth {wanted.truth}, "
    small = {
        "pictures": thumbnail(pair(image, strengths), max_side_px=_PAIR_PX),
        "thumbnails": thumbnail(overlay(image, strengths)),
    }
    paths = {folder: f"{folder}/{name}.{'png' if is_lossless(content) else 'jpg'}" for folder, content in small.items()}
    with files.whole_file(root / "maps" / f"{name}.npy") as unfinished, unfinished.open("wb") as stream:
        np.save(stream, found)
    drawn = panel(image, strengths, title=seen, caption=f"{wanted.record_id}: {truth}decided {wanted.decision}")
    files.write_bytes(root / "overlays" / f"{name}.png", drawn)
    for folder, content in small.items():
        files.write_bytes(root / paths[folder], content)
    return MapRow(
        record_id=wanted.record_id,
        case=wanted.case,
        split=wanted.side,
        truth=wanted.truth or "",
        decision=wanted.decision,
        explained_class=wanted.explained_class,
        probability=wanted.probability,
        method=method,
        layer=layer,
        height_px=found.shape[0],
        width_px=found.shape[1],
        has_evidence=bool(found.max() > 0),
        map=f"maps/{name}.npy",
        overlay=f"overlays/{name}.png",
        picture=paths["pictures"],
        thumbnail=paths["thumbnails"],
        key=key,
        model=model,
    )


def _file_name(record_id: str, key: str) -> str:
    """Return a name that tells a person which image it is, and differs for all else.

    >>> _file_name("case 1/he.png", "0123456789abcdef")
    'case_1_he.png-0123456789ab'
    """
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', record_id)[-_NAME_LENGTH:]}-{key[:12]}"


def write_sheet(root: Path, rows: Sequence[MapRow], *, method: Method) -> Path:
    """Write the contact sheet of the first rows; return the file."""
    shown = rows[:_MOST_SHOWN]
    pictures = [np.asarray(Image.open(root / row.picture).convert("RGB")) for row in shown]
    captions = [_caption(row) for row in shown]
    path = root / f"{method}.png"
    files.write_bytes(path, sheet_of(pictures, captions))
    return path


def _caption(row: MapRow) -> str:
    truth = f"truth {row.truth}, " if row.truth else ""
    found = "" if row.has_evidence else ": none found"
    return f"{row.record_id}\n{truth}decided {row.decision}\nevidence for {row.explained_class}{found}"


def record_explanations(folder: RunFolder, model: str, rows: Sequence[MapRow], sanity: Sanity | None) -> None:
    """Write what the report says of some maps; what it says of other methods, and an older check, stay."""
    known = read_analysis(EXPLANATION, folder.root)
    methods = {one.method: one for one in known.methods} if known is not None and known.model == model else {}
    if not rows:
        return
    method = rows[0].method
    before = methods.get(method)
    methods[method] = MethodExplanations(
        method=method,
        num_explained=len(rows),
        num_without_evidence=sum(not row.has_evidence for row in rows),
        layers=tuple(sorted({row.layer for row in rows if row.layer})),
        shown=tuple(_shown(folder, row) for row in rows[:_MOST_SHOWN]),
        sanity=before.sanity if sanity is None and before is not None else sanity,
    )
    write_analysis(EXPLANATION, Explanations(model=model, methods=tuple(methods.values())), folder.root)


def _shown(folder: RunFolder, row: MapRow) -> Explained:
    return Explained(
        record_id=row.record_id,
        case=row.case,
        side=row.split,
        truth=row.truth or None,
        decision=row.decision,
        explained_class=row.explained_class,
        probability=row.probability,
        has_evidence=row.has_evidence,
        picture=(folder.explanations / row.picture).relative_to(folder.root).as_posix(),
    )


def forget_other_models(folder: RunFolder) -> None:
    """Drop what explains another model than the run's today, so that no report shows it."""
    if not folder.has_stamp("train"):
        return
    model = folder.stamped("train")[MODEL]
    found = read_analysis(EXPLANATION, folder.root)
    if found is not None and found.model != model:
        forget_analysis(EXPLANATION, folder.root)
    if (folder.explanations / "index.csv").is_file():
        MapIndex(folder.explanations, model=model).save()
