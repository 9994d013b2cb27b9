"""What takes part in a comparison: run folders, ensembles, and predictions of any program, opened and named.

In: words of the command line. Out: an ``Entrant`` each, with its predictions and the thresholds that were fixed before.
Nothing is fitted for the comparison but the threshold of a bare ``predictions.csv``, on its own validation side.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from radpath import files
from radpath.data.manifest import Manifest
from radpath.errors import DataError, SettingsError
from radpath.evaluation.comparison import Contender
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate_with_cases
from radpath.evaluation.foreign import read_foreign
from radpath.evaluation.label_predictions import has_several_labels
from radpath.evaluation.predictions import Predictions, read_predictions
from radpath.recipes.ensemble import read_ensemble
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.members import require_same_pictures
from radpath.records import Side
from radpath.run_folder import RunFolder

_FEWEST_RESAMPLES = 100  # only thresholds and cases are taken from this evaluation, no interval


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Entrant:
    """One model that takes part."""

    name: str
    place: str
    """As the user named it."""
    predictions: Predictions
    evaluation: Evaluation
    """With the frozen thresholds, of images and of cases."""
    cases: Predictions | None
    """One row a case, where some case has several images."""
    home: RunFolder | None
    """The run whose images these are, where they are known: of an ensemble, its first member."""
    experiment: Experiment | None
    """Of a run of its own; an ensemble has none."""
    assumptions: tuple[str, ...] = ()
    """One sentence for each thing that a table of another program does not say."""

    @property
    def by_image(self) -> Contender:
        """The model as it is compared image by image."""
        return Contender(name=self.name, predictions=self.predictions, threshold=self.evaluation.threshold)

    @property
    def by_case(self) -> Contender | None:
        """The model as it is compared case by case."""
        if self.cases is None or self.evaluation.by_case is None:
            return None
        threshold = self.evaluation.by_case.numbers.threshold
        return Contender(name=self.name, predictions=self.cases, threshold=threshold)

    def manifest(self) -> Manifest | None:
        """Return the manifest of the images, where it is there."""
        if self.home is None or not self.home.manifest.is_file():
            return None
        return Manifest.read(self.home.manifest, images=read_experiment(self.home.experiment, []).data.images)


def open_entrants(targets: Sequence[str], settings: EvaluationSettings, *, side: Side) -> list[Entrant]:
    """Open what is compared, each as ``PLACE`` or ``NAME=PLACE``.

    Args:
        targets: run folders, ensembles, folders with a ``predictions.csv``, or such files.
        settings: how a bare ``predictions.csv`` decides; a run has decided already.
        side: the side that is compared.

    Raises:
        SettingsError: fewer than two, or one of them twice.
        StaleError: a run's predictions are not those that it was evaluated with.
        DataError: something is not there, or two runs have other images under the same names.
    """
    places = [_name_and_place(target) for target in targets]
    resolved = [place.resolve() for _, place in places]
    if len(set(resolved)) < max(2, len(resolved)):
        raise SettingsError("two or more different runs can be compared; name the place of each once")
    entrants = [_open(name, place, settings) for (_, place), name in zip(places, _names(places), strict=True)]
    known = [(one.name, manifest) for one in entrants if (manifest := one.manifest()) is not None]
    for other in known[1:]:
        require_same_pictures(known[0], other, side=side)
    return entrants


def _name_and_place(target: str) -> tuple[str | None, Path]:
    """Divide ``NAME=PLACE``; a place that is there as it is written has no name."""
    name, found, place = target.partition("=")
    if found and name and not Path(target).exists():
        return name, Path(place)
    return None, Path(target)


def _names(places: Sequence[tuple[str | None, Path]]) -> list[str]:
    """Return the names that were given, else those of the folders or files; where two are the same, the whole place."""
    own = [name or _own_name(place) for name, place in places]
    count = Counter(own)
    return [
        str(place) if count[short] > 1 and name is None else short
        for short, (name, place) in zip(own, places, strict=True)
    ]


def _own_name(place: Path) -> str:
    whole = place.resolve()
    return (
        whole.stem
        if whole.is_file() and whole.stem != "predictions"
        else (whole.parent if whole.is_file() else whole).name
    )


def _open(name: str, place: Path, settings: EvaluationSettings) -> Entrant:
    if has_several_labels(place if place.is_file() else place / "predictions.csv"):
        raise SettingsError(
            f"{place}: its images have several labels each, and models are compared on one class an image; name tables "
            "with the truth and the probability of one label"
        )
    if place.is_file():
        return _of_table(name, place, place, settings)
    if not place.is_dir():
        raise DataError(f"there is no run folder or predictions.csv {place}")
    folder = RunFolder(place)
    if not folder.predictions.is_file():
        raise DataError(f"{place} holds no predictions.csv; name a finished run, or any program's predictions.csv")
    if not folder.metrics.is_file():
        return _of_table(name, place, folder.predictions, settings)
    _require_unchanged(folder)
    evaluation = Evaluation.from_dict(files.read_json(folder.metrics))
    by_case = evaluation.by_case is not None and folder.case_predictions.is_file()
    return Entrant(
        name=name,
        place=str(place),
        predictions=read_predictions(folder.predictions),
        evaluation=evaluation,
        cases=read_predictions(folder.case_predictions) if by_case else None,
        home=_home(folder),
        experiment=read_experiment(folder.experiment, []) if folder.experiment.is_file() else None,
    )


def _of_table(name: str, place: Path, table: Path, settings: EvaluationSettings) -> Entrant:
    foreign = read_foreign(table)
    positive_class = settings.positive_class or foreign.positive_class
    few = settings.model_copy(update={"replicates": _FEWEST_RESAMPLES, "positive_class": positive_class})
    evaluation, cases = evaluate_with_cases(foreign.predictions, few)
    return Entrant(
        name=name,
        place=str(place),
        predictions=foreign.predictions,
        evaluation=evaluation,
        cases=cases.predictions if cases else None,
        home=None,
        experiment=None,
        assumptions=foreign.assumptions,
    )


def _require_unchanged(folder: RunFolder) -> None:
    """Refuse predictions that are not those that the numbers beside them were made from."""
    if folder.has_stamp("evaluate"):
        now = {"predictions.csv": files.digest_file(folder.predictions)}
        folder.require_fresh("evaluate", now, remedy=f"evaluate it again: radpath evaluate {folder.root}")


def _home(folder: RunFolder) -> RunFolder | None:
    if folder.ensemble.is_file():
        return next((RunFolder(share.run) for share in read_ensemble(folder) if share.run.is_dir()), None)
    return folder if folder.experiment.is_file() else None
