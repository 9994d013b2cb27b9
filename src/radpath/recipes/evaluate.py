"""The numbers and the page again, from ``predictions.csv``, without the model."""

from pathlib import Path

from radpath import files
from radpath.data.location import Location
from radpath.errors import SettingsError
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.evaluation.label_evaluation import LabelEvaluation
from radpath.evaluation.label_predictions import has_several_labels
from radpath.recipes.concluding import conclude
from radpath.recipes.ensemble import judge_ensemble
from radpath.recipes.evaluate_table import evaluate_table
from radpath.recipes.experiment import read_experiment
from radpath.recipes.external import evaluate_external
from radpath.recipes.label_judging import evaluate_label_table
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say, say_path
from radpath.run_folder import RunFolder
from radpath.settings import override, parse_settings


def evaluate_target(
    target: Path,
    *,
    images: Location | None,
    labels: Location | None,
    assignments: list[str],
    out: Path | None,
    other_patients: bool,
    command: str,
) -> Evaluation | LabelEvaluation:
    """Evaluate a run or a table again, or a run on new images where there are any.

    Raises:
        SettingsError: what goes with new images alone was given without them, or a table was given with them.
        RadpathError: bad input; the message says what, where and what to do.
    """
    if images is None:
        if labels is not None or other_patients:
            given = "--labels" if labels is not None else "--other-patients"
            raise SettingsError(f"{given} goes with new images; name them with --images")
        return evaluate_again(target, assignments=assignments, out=out)
    if target.is_file():
        raise SettingsError(f"{target} is no run, so nothing can look at new images; name a run folder")
    return evaluate_external(
        target,
        images,
        labels=labels,
        out=out,
        command=command,
        assignments=assignments,
        other_patients=other_patients,
    )


def evaluate_again(target: Path, *, assignments: list[str], out: Path | None) -> Evaluation | LabelEvaluation:
    """Evaluate a run, or any program's ``predictions.csv``, and tell and return the numbers.

    Raises:
        StaleError: the run's predictions were changed after they were made.
        RadpathError: bad input; the message says what, where and what to do.
    """
    if target.is_file():
        if has_several_labels(target):
            return evaluate_label_table(target, _settings(assignments), out=out)
        return evaluate_table(target, _settings(assignments), out=out, assignments=assignments)
    if assignments:
        raise SettingsError("--set goes with a predictions.csv; the settings of a run are those of its experiment.toml")
    if RunFolder(target).ensemble.is_file():
        return judge_ensemble(RunFolder(target))
    folder = RunFolder.open(target)
    now = {"predictions.csv": files.digest_file(folder.predictions)} if folder.predictions.is_file() else {}
    folder.require_fresh("predict", now, remedy="restore it, or evaluate the file itself: radpath evaluate FILE")
    experiment = read_experiment(folder.experiment, [])
    require_same_settings(folder, experiment)
    evaluation = conclude(experiment, folder)
    say("")
    say_path("Report", folder.report)
    return evaluation


def _settings(assignments: list[str]) -> EvaluationSettings:
    values = override({"evaluation": {}}, assignments)
    if set(values) != {"evaluation"}:
        raise SettingsError("with a predictions.csv, only settings of [evaluation] can be set: --set evaluation.seed=1")
    return parse_settings(EvaluationSettings, values["evaluation"], source="--set evaluation")
