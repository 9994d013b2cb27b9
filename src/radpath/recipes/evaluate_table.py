"""Any program's table of predictions becomes numbers, analyses and a report; there is no run, and there are no images.

In: a CSV as ``docs/guide/predictions.md`` describes it. Out: a folder with the completed ``predictions.csv``,
``metrics.json``, what is frozen, ``analyses/``, ``report.html`` with its figures and tables, and the model card. What
the table does not say is told among the cautions.
"""

import dataclasses
import importlib.metadata
import shlex
from collections.abc import Sequence
from pathlib import Path

from radpath import files
from radpath.errors import StorageError
from radpath.evaluation.cases import CasePredictions, write_case_predictions
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate_with_cases
from radpath.evaluation.foreign import ForeignPredictions, read_foreign
from radpath.evaluation.predictions import write_predictions
from radpath.recipes.analyses import Judged, analyse, read_sections
from radpath.recipes.frozen import freeze, write_frozen
from radpath.recipes.report import write_pages
from radpath.recipes.telling import say, say_path, say_results
from radpath.reporting.characteristics_table import characteristics_table
from radpath.reporting.content import ReportContent
from radpath.run_folder import RunFolder
from radpath.settings import flatten


def evaluate_table(
    path: Path, settings: EvaluationSettings, *, out: Path | None, assignments: Sequence[str] = ()
) -> Evaluation:
    """Evaluate a table, tell the numbers, and write everything where ``out`` says, if it says.

    Args:
        path: the table.
        settings: the rules.
        out: the folder; None to write nothing.
        assignments: ``key=value`` as the user wrote them, for the command in the report.

    Raises:
        StorageError: ``out`` is a run.
        DataError: the table cannot be understood, or no image has a label.
    """
    folder = None if out is None else _folder_to_write(out)
    foreign = read_foreign(path)
    if settings.positive_class is None and foreign.positive_class is not None:
        settings = settings.model_copy(update={"positive_class": foreign.positive_class})
    evaluation, cases = evaluate_with_cases(foreign.predictions, settings)
    evaluation = dataclasses.replace(evaluation, warnings=(*foreign.assumptions, *evaluation.warnings))
    say_results(evaluation)
    if folder is not None:
        _write_numbers(foreign, evaluation, cases, settings, source=path, folder=folder)
        write_pages(_content(path, foreign, evaluation, settings, assignments, folder), folder)
        say("")
        say_path("Metrics", folder.metrics)
        say_path("Report", folder.report)
    return evaluation


def _folder_to_write(out: Path) -> RunFolder:
    folder = RunFolder(out)
    if folder.experiment.is_file() or folder.ensemble.is_file():
        raise StorageError(f"{out} is a run, whose own numbers would be replaced; choose another folder with --out")
    return folder


def _write_numbers(
    foreign: ForeignPredictions,
    evaluation: Evaluation,
    cases: CasePredictions | None,
    settings: EvaluationSettings,
    *,
    source: Path,
    folder: RunFolder,
) -> None:
    if source.resolve() != folder.predictions.resolve():
        write_predictions(foreign.predictions, folder.predictions)
    if cases is None:
        folder.case_predictions.unlink(missing_ok=True)
    else:
        write_case_predictions(cases, folder.case_predictions)
    files.write_json(folder.metrics, evaluation.to_dict())
    frozen = freeze(foreign.predictions, evaluation, settings)
    write_frozen(frozen, evaluation, folder)
    judged = Judged(
        predictions=foreign.predictions,
        evaluation=evaluation,
        settings=settings,
        characteristics=foreign.characteristics,
        frozen=frozen,
    )
    analyse(judged, folder.root)


def _content(
    path: Path,
    foreign: ForeignPredictions,
    evaluation: Evaluation,
    settings: EvaluationSettings,
    assignments: Sequence[str],
    folder: RunFolder,
) -> ReportContent:
    """Return what the report can say without images and training; the same table gives the same bytes."""
    predictions = foreign.predictions
    sets = [word for assignment in assignments for word in ("--set", assignment)]
    values = flatten({"evaluation": settings.model_dump(mode="json")})
    return ReportContent(
        title=path.stem,
        question=f"How good are the predictions in {path.name}?",
        command=shlex.join(["radpath", "evaluate", str(path), *sets, "--out", str(folder.root)]),
        characteristics=None
        if foreign.characteristics is None
        else characteristics_table(
            foreign.characteristics,
            record_ids=predictions.record_ids,
            cases=predictions.cases,
            sides=predictions.sides,
        ),
        evaluation=evaluation,
        predictions=predictions,
        settings={key: "not set" if value is None else str(value) for key, value in values.items()},
        environment={"radpath": importlib.metadata.version("radpath"), path.name: f"BLAKE2b {files.digest_file(path)}"},
        limits=foreign.assumptions,
        sections=read_sections(folder.root),
    )
