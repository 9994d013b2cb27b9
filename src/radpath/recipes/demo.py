"""The main job on images that radpath draws itself: no data, no network."""

import csv
from pathlib import Path
from typing import Final

from radpath import files
from radpath.data.synthetic import PlantedFault, SizeRange, write_synthetic
from radpath.errors import StorageError
from radpath.recipes.fit import compose_wanted, fit
from radpath.recipes.gathering import data_values
from radpath.recipes.running import read_findings
from radpath.recipes.telling import say, say_path, say_rows
from radpath.run_folder import RunFolder

_QUESTION: Final = "question=Which kind of tissue does the image show?"
_SHORT: Final = "training.epochs=8"  # enough to learn these images; two cores need a minute and a half
_MISSED: Final = "NOT FOUND"


def demonstrate(
    *, out: Path | None, assignments: list[str], command: str, cases_per_class: int = 16, sizes: SizeRange | None = None
) -> RunFolder:
    """Draw a study of four kinds of tissue with planted faults, fit a classifier to it, and show each fault found.

    Args:
        out: a new or empty folder for the images and the run; None for ``runs/demo``.
        assignments: ``key=value`` settings that win over the plan.
        command: the command line, for the report.
        cases_per_class: how many cases of each kind of tissue, at least 2.
        sizes: of the images; by default 30 to 256 px with a median of 96.

    Raises:
        RadpathError: the folder cannot be written, or a setting is wrong.
    """
    root = out or Path("runs") / "demo"
    compose_wanted({"data": data_values(root, None)}, assignments)  # a wrong setting is told before the drawing
    with files.explained_storage_errors(root):
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise StorageError(f"{root} is there already; delete it, or choose another folder with --out")
    sizes = sizes or SizeRange(median_px=96, largest_px=256)  # two cores learn from these in a minute or two
    study = write_synthetic(
        root / "data", cases_per_class=cases_per_class, images_per_case=(2, 4), seed=0, sizes=sizes, faults=True
    )
    say(f"Drew {len(study.truth)} images of four kinds of tissue in {study.images}, with {len(study.faults)} faults")
    pattern = f"data.name_pattern={study.name_pattern}"
    wishes = [_QUESTION, _SHORT, pattern, *assignments]
    folder = fit(study.images, labels=study.labels, assignments=wishes, out=root / "run", command=command)
    rows = [(fault.kind, f"{fault}\n-> {where_reported(fault, folder)}") for fault in study.faults]
    say_rows("Planted faults, and where radpath reported them", rows)
    say("")
    say_path("Report", folder.report)
    return folder


def where_reported(fault: PlantedFault, folder: RunFolder) -> str:
    """Return where a run tells of a fault, and in which words: its table of exclusions, or its findings."""
    return "; ".join(dict.fromkeys(_exclusions(fault, folder) or _findings(fault, folder))) or _MISSED


def _exclusions(fault: PlantedFault, folder: RunFolder) -> list[str]:
    with folder.exclusions.open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["record_id"] in fault.files]
    return [f"exclusions.csv: {row['reason']}" for row in rows]


def _findings(fault: PlantedFault, folder: RunFolder) -> list[str]:
    """Return the findings among whose examples the fault is."""
    names = fault.files[-1:] or fault.cases
    return [
        f"findings.json: {finding.message}"
        for finding in read_findings(folder)
        if any(name in example for name in names for example in finding.examples)
    ]
