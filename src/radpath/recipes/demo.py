"""The main job on images that radpath draws itself: no data, no network."""

from pathlib import Path

from radpath.data.synthetic import write_synthetic
from radpath.errors import StorageError
from radpath.recipes.fit import fit
from radpath.recipes.telling import say
from radpath.run_folder import RunFolder


def demonstrate(*, out: Path | None, assignments: list[str], command: str) -> RunFolder:
    """Draw a study of four kinds of tissue with planted faults, and fit a classifier to it.

    Raises:
        RadpathError: the folder cannot be written, or a setting is wrong.
    """
    root = out or Path("runs") / "demo"
    if (root / "run").exists():
        raise StorageError(f"{root / 'run'} is there already; delete {root} or choose another folder with --out")
    study = write_synthetic(root / "data", cases_per_class=16, images_per_case=(2, 4), seed=0)
    say(f"Drew {len(study.truth)} images of four kinds of tissue in {study.images}")
    for fault in study.faults:
        say(f"  planted fault: {fault}")
    pattern = [f"data.name_pattern={study.name_pattern}"]
    question = "question=Which kind of tissue does the image show?"
    return fit(
        study.images,
        labels=study.labels,
        assignments=[question, *pattern, *assignments],
        out=root / "run",
        command=command,
    )
