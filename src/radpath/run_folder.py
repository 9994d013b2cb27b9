"""A run folder: the one place that knows the names of a run's files, and what each step was made from.

In: results of a run's steps. Out: files that appear whole or not at all, and stamps: for every step the digests of
what it used, so that a later step refuses to mix results that do not belong together.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from radpath import files
from radpath.errors import DataError, StaleError, StorageError


@final
@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The files of one run; steps write them in the order of the properties below."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> "RunFolder":
        """Make an empty run folder.

        Raises:
            StorageError: there is a run already, or the folder cannot be made.
        """
        with files.explained_storage_errors(root):
            if root.exists() and not root.is_dir():
                raise StorageError(f"{root} is a file; choose another folder with --out")
            if root.is_dir() and any(root.iterdir()):
                raise StorageError(
                    f"{root} is not empty; continue that run with --resume, or choose another with --out"
                )
            root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    @classmethod
    def open(cls, root: Path) -> "RunFolder":
        """Open the folder of an earlier run.

        Raises:
            DataError: there is none.
        """
        if not root.is_dir():
            raise DataError(f"there is no run folder {root}; `radpath fit` or `radpath train` makes one")
        if not (root / "experiment.toml").is_file():
            raise DataError(
                f"{root} holds no run: experiment.toml is missing; if a run was stopped before it began, empty the "
                "folder and start it again without --resume"
            )
        return cls(root)

    @property
    def experiment(self) -> Path:
        """All settings, resolved and complete."""
        return self.root / "experiment.toml"

    @property
    def environment(self) -> Path:
        """Versions, device, seeds, command."""
        return self.root / "environment.json"

    @property
    def plan(self) -> Path:
        """What was measured, and why each setting was chosen."""
        return self.root / "plan.json"

    @property
    def manifest(self) -> Path:
        """One row an image, excluded ones included."""
        return self.root / "manifest.parquet"

    @property
    def splits(self) -> Path:
        """One row a kept image: case, label, side."""
        return self.root / "splits.csv"

    @property
    def exclusions(self) -> Path:
        """One row an excluded image, with the reason."""
        return self.root / "exclusions.csv"

    @property
    def checks(self) -> Path:
        """The classes, how the split was made, and what was checked on it."""
        return self.root / "checks.json"

    @property
    def findings(self) -> Path:
        """What a person should know about the data."""
        return self.root / "findings.json"

    @property
    def intensity(self) -> Path:
        """Which levels of the images become the network's 0 and 1."""
        return self.root / "intensity.json"

    @property
    def stain(self) -> Path:
        """The typical stain of the training images; only where stains are normalised."""
        return self.root / "stain.json"

    @property
    def weights(self) -> Path:
        """Which weights the backbone started from."""
        return self.root / "weights.json"

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.root / "history.csv"

    @property
    def failure(self) -> Path:
        """Why the training was spoilt, and what was measured then; only where it was."""
        return self.root / "failure.json"

    @property
    def checkpoints(self) -> Path:
        """The weights of every epoch, the best, and the state for an exact resume."""
        return self.root / "checkpoints"

    @property
    def picked(self) -> Path:
        """The epoch that was picked by hand; only where one was."""
        return self.root / "picked_epoch.json"

    @property
    def precision(self) -> Path:
        """What ``device.precision = "auto"`` became, and what was measured; only where it was."""
        return self.root / "precision.json"

    @property
    def padding(self) -> Path:
        """Which share of what the network saw is padding, by side."""
        return self.root / "padding.json"

    @property
    def tensorboard(self) -> Path:
        """Event files for TensorBoard."""
        return self.root / "tensorboard"

    @property
    def predictions(self) -> Path:
        """One row an image: truth and one probability a class."""
        return self.root / "predictions.csv"

    @property
    def case_predictions(self) -> Path:
        """One row a case, as in predictions.csv, with the number of its images; only where cases have several."""
        return self.root / "case_predictions.csv"

    @property
    def thresholds(self) -> Path:
        """The operating points, of images and of cases, fixed on validation."""
        return self.root / "thresholds.json"

    @property
    def calibration(self) -> Path:
        """The correction of probabilities, fitted on validation; only where one was."""
        return self.root / "calibration.json"

    @property
    def conformal(self) -> Path:
        """The limits of prediction sets, found on validation; only where there are any."""
        return self.root / "conformal.json"

    @property
    def distance(self) -> Path:
        """What tells how far a new image is from the training images; only where that was measured."""
        return self.root / "distance.safetensors"

    @property
    def distance_facts(self) -> Path:
        """How many images that distance was measured on, and which distance is called 1."""
        return self.root / "distance.json"

    @property
    def metrics(self) -> Path:
        """Every metric with its interval."""
        return self.root / "metrics.json"

    def analysis(self, name: str) -> Path:
        """Return where the result of an analysis lies, if it was made."""
        return self.root / "analyses" / f"{name}.json"

    @property
    def ensemble(self) -> Path:
        """Which runs an ensemble is the mean of, with their weights; only of `radpath ensemble`."""
        return self.root / "ensemble.json"

    @property
    def soup(self) -> Path:
        """Which runs' weights a soup is the mean of; only of `radpath soup`."""
        return self.root / "soup.json"

    @property
    def figures(self) -> Path:
        """Vector figures, as in the report."""
        return self.root / "figures"

    @property
    def tables(self) -> Path:
        """Every table of the report, as CSV in full precision and as LaTeX."""
        return self.root / "tables"

    @property
    def explanations(self) -> Path:
        """Maps of the evidence for a class, with their ``index.csv``; only of `radpath explain`."""
        return self.root / "explanations"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.root / "report.html"

    @property
    def report_pdf(self) -> Path:
        """The same on paper; only where `radpath report --pdf` made one, which every later report renews."""
        return self.root / "report.pdf"

    @property
    def model_card(self) -> Path:
        """The model in one page of Markdown."""
        return self.root / "model_card.md"

    @property
    def stamps(self) -> Path:
        """What each step was made from."""
        return self.root / "stamps.json"

    def stamp(self, step: str, made_from: Mapping[str, str]) -> None:
        """Record the digests of what a finished step used."""
        known = self._stamps()
        files.write_json(self.stamps, {**known, step: dict(made_from)})

    def has_stamp(self, step: str) -> bool:
        """Return True where a step has been recorded."""
        return step in self._stamps()

    def stamped(self, step: str) -> dict[str, str]:
        """Return what a step was made from.

        Raises:
            DataError: the step has not been done.
        """
        known = self._stamps()
        if step not in known:
            raise DataError(f"{self.root}: the step '{step}' is not finished; run `radpath train --resume` on it")
        made_from: dict[str, str] = known[step]
        return made_from

    def require_fresh(self, step: str, now: Mapping[str, str], *, remedy: str) -> None:
        """Refuse to go on where something that a step used is not what it was.

        Args:
            step: an earlier step of this run.
            now: today's digests, by the same names.
            remedy: what the user can do.

        Raises:
            StaleError: naming what changed.
        """
        then = self.stamped(step)
        changed = [name for name, digest in now.items() if name in then and then[name] != digest]
        if changed:
            raise StaleError(f"{self.root}: {' and '.join(changed)} changed since '{step}' was done; {remedy}")

    def _stamps(self) -> dict[str, Any]:
        stamps: dict[str, Any] = files.read_json(self.stamps) if self.stamps.is_file() else {}
        return stamps
