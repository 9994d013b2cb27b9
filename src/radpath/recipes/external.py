"""External validation: a finished run is judged on new images and labels, with everything as it was fixed.

In: a run or an ensemble, new images and their labels. Out: a folder with their ``predictions.csv``, manifest,
exclusions, ``metrics.json``, analyses and a report of its own. Pixels, intensity, stain, model, calibration, prediction
sets and thresholds are those of the run; nothing is fitted on the new labels. What the images and the answers have in
common with those of the run is the analysis ``drift``.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radpath import files
from radpath.data.array_file import is_array_file
from radpath.data.ingest import pool_name
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.errors import SettingsError, StorageError
from radpath.evaluation.cases import write_case_predictions
from radpath.evaluation.drift import assess_drift
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings, evaluate_with_cases
from radpath.evaluation.label_predictions import has_several_labels
from radpath.evaluation.predictions import Predictions, read_predictions, write_predictions
from radpath.recipes.analyses import DRIFT, Judged, analyse, read_sections, write_analysis
from radpath.recipes.characteristics import characteristics_of, levels_of
from radpath.recipes.ensemble import read_ensemble
from radpath.recipes.environment import describe_environment
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.frozen import read_frozen, write_frozen
from radpath.recipes.gathering import pools_beside, run_name
from radpath.recipes.new_images import seen_by_members, seen_by_run
from radpath.recipes.new_labels import data_of_new, with_labels, without_learned
from radpath.recipes.pictures import Pictures
from radpath.recipes.report import mistakes_of, write_pages
from radpath.recipes.run_facts import describe_sides, plain_values, summarise_data, summarise_training
from radpath.recipes.running import read_document, read_intensity, read_stain
from radpath.recipes.seen import Seen
from radpath.recipes.telling import say, say_findings, say_path, say_results
from radpath.recipes.training_summary import moved_probabilities
from radpath.reporting.content import ReportContent
from radpath.reporting.wording import headline_sentence
from radpath.run_folder import RunFolder

_DEVICE = ("device.", "data.ray")


def evaluate_external(
    run: Path,
    images: Location,
    *,
    labels: Location | None,
    out: Path | None,
    command: str,
    assignments: Sequence[str] = (),
    other_patients: bool = False,
) -> Evaluation:
    """Judge a run on new images and labels; write, tell and return the numbers.

    Args:
        run: a finished run folder, or that of an ensemble.
        images: new images, in any form that ``fit`` reads.
        labels: their table; None where folders, names or an array file say the class.
        out: the folder to write; None for one named after the images, below ``external`` in the run folder.
        command: the command line, for the report.
        assignments: ``key=value`` settings of ``[device]``, and what a new table calls its columns.
        other_patients: cases that are named like training cases are other people.

    Raises:
        LeakError: all new images are images or cases that the model learned from.
        RadpathError: bad input; the message says what, where and what to do.
    """
    folder = RunFolder(run) if RunFolder(run).ensemble.is_file() else RunFolder.open(run)
    target = _folder_to_write(out or folder.root / "external" / run_name(images))
    _refuse_label_sets(folder)
    runs = _runs_of(folder)
    experiment = read_experiment(runs[0].experiment, [])
    device = [one for one in assignments if one.startswith(_DEVICE)]
    data = data_of_new(experiment.data, images, labels, [one for one in assignments if one not in device])
    see = seen_by_members if folder.ensemble.is_file() else seen_by_run
    seen = see(folder, images, device)
    manifest = without_learned(
        with_labels(seen.manifest, data, seen.classes, folder=folder), runs, other_patients=other_patients
    )
    predictions = _predictions(seen, manifest)
    looking = experiment.model_copy(update={"data": data})
    _record(looking, manifest, predictions, target, folder, command=command)
    evaluation = judge_frozen(looking, manifest, predictions, folder, runs[0], target)
    say_findings(manifest.findings)
    say_results(evaluation)
    _write_report(looking, manifest, predictions, evaluation, run=runs[0], folder=folder, target=target)
    say("")
    say_path("External validation", target.root)
    say_path("Report", target.report)
    return evaluation


def _folder_to_write(root: Path) -> RunFolder:
    """Return the folder of the results: a new one, or that of an earlier external validation."""
    if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not (root / "external.json").is_file())):
        raise StorageError(f"{root} holds something else; choose another folder with --out")
    return RunFolder(root)


def _refuse_label_sets(folder: RunFolder) -> None:
    if has_several_labels(folder.predictions):
        raise SettingsError(
            f"{folder.root}: its images have several labels each, and external validation judges one class an image; "
            "add case, split and truth:LABEL columns to the table of radpath predict, and evaluate that"
        )


def _runs_of(folder: RunFolder) -> list[RunFolder]:
    if not folder.ensemble.is_file():
        return [folder]
    return [RunFolder.open(share.run) for share in read_ensemble(folder) if share.weight > 0]


def _predictions(seen: Seen, manifest: Manifest) -> Predictions:
    kept = manifest.kept
    place = {record: row for row, record in enumerate(seen.manifest.kept["record_id"])}
    return Predictions(
        record_ids=tuple(kept["record_id"]),
        cases=tuple(kept["case"]),
        sides=tuple(kept["split"]),
        truth=tuple(kept["label"]),
        probabilities=seen.probabilities[[place[record] for record in kept["record_id"]]],
        classes=seen.classes,
        stains=None if kept["stain"].null_count() == len(kept) else tuple(kept["stain"]),
    )


def _record(
    experiment: Experiment,
    manifest: Manifest,
    predictions: Predictions,
    target: RunFolder,
    folder: RunFolder,
    *,
    command: str,
) -> None:
    """Write down what is judged, and on what."""
    relative = Path(os.path.relpath(folder.root.resolve(), target.root.resolve())).as_posix()
    manifest.write(target.manifest)
    manifest.write_exclusions(target.exclusions)
    files.write_json(target.findings, [dataclasses.asdict(finding) for finding in manifest.findings])
    write_predictions(predictions, target.predictions)
    environment = describe_environment(experiment, command=command, device=experiment.device.device)
    files.write_json(target.environment, environment)
    made_of = {"run": relative, "predictions_of_run": files.digest_file(folder.predictions)}
    files.write_json(
        target.root / "external.json",
        {**made_of, "images": str(experiment.data.images), "labels": str(experiment.data.labels or "")},
    )


def judge_frozen(
    experiment: Experiment,
    manifest: Manifest,
    predictions: Predictions,
    folder: RunFolder,
    first: RunFolder,
    target: RunFolder,
) -> Evaluation:
    """Turn predictions of new images into numbers and analyses, with what the run fixed, and write them.

    Args:
        experiment: the settings of the run, with the new data.
        manifest: of the new images.
        predictions: of the new images, on the test side.
        folder: the run that is judged.
        first: the run whose pixels count: the run itself, or an ensemble's first member.
        target: where everything is written.
    """
    of_run = read_document(folder.metrics, Evaluation.from_dict)
    settings = _settings_of(experiment, of_run)
    frozen = read_frozen(folder)
    of_cases = None if of_run.by_case is None else of_run.by_case.numbers.threshold
    evaluation, cases = evaluate_with_cases(predictions, settings, threshold=frozen.threshold, case_threshold=of_cases)
    files.write_json(target.metrics, evaluation.to_dict())
    write_frozen(frozen, evaluation, target)
    if cases is not None:
        write_case_predictions(cases, target.case_predictions)
    characteristics = characteristics_of(manifest.table)
    judged = Judged(
        predictions=predictions,
        evaluation=evaluation,
        settings=settings,
        characteristics=characteristics,
        frozen=frozen,
        moved_by=moved_probabilities(experiment.training),
    )
    analyse(judged, target.root)
    pool = pools_beside(first.root) / pool_name(experiment.data, experiment.pixels, read_stain(experiment, first))
    seen_table = pl.read_parquet(first.manifest)
    drift = assess_drift(
        read_predictions(folder.predictions),
        predictions,
        threshold=frozen.threshold,
        seen_characteristics=levels_of(characteristics_of(seen_table), seen_table, pool),
        new_characteristics=levels_of(characteristics, manifest.table, pool),
        settings=settings.drift,
        seed=settings.seed,
    )
    write_analysis(DRIFT, drift, target.root)
    return evaluation


def _settings_of(experiment: Experiment, of_run: Evaluation) -> EvaluationSettings:
    """Return the run's rules; cases are judged only as the run judged them, and only by rules that learn nothing."""
    settings = experiment.evaluation.with_order(ordinal=experiment.training.loss.kind == "ordinal")
    by_case = of_run.by_case
    rule = "none" if by_case is None or by_case.rule == "svm" else settings.cases.rule
    cases = settings.cases.model_copy(update={"rule": rule})
    return settings.model_copy(update={"positive_class": of_run.positive_class, "cases": cases})


def _write_report(
    experiment: Experiment,
    manifest: Manifest,
    predictions: Predictions,
    evaluation: Evaluation,
    *,
    run: RunFolder,
    folder: RunFolder,
    target: RunFolder,
) -> None:
    """Write the page, its figures and tables, and the model card."""
    images = experiment.data.images
    readable = Manifest.read(target.manifest, images=images.parent if is_array_file(images) else images)
    pictures = Pictures(
        readable,
        experiment,
        read_intensity(run),
        read_stain(experiment, run),
        explanations=target.root / "explanations",
    )
    environment = files.read_json(target.environment)
    name = folder.root.resolve().name
    content = ReportContent(
        title=f"External validation of {name} on {target.root.resolve().name}",
        question=experiment.question or f"How good is {name} on images of elsewhere?",
        command=environment["command"],
        created=environment["started"].replace("T", " ").replace("+00:00", " UTC"),
        data=summarise_data(experiment.data, manifest, target),
        characteristics=describe_sides(manifest, predictions),
        training=summarise_training(experiment, run),
        evaluation=evaluation,
        predictions=predictions,
        mistakes=mistakes_of(predictions, evaluation, pictures),
        settings=plain_values(experiment.model_dump(mode="json")),
        environment=plain_values(environment),
        limits=_limits(folder, name),
        sections=read_sections(target.root),
    )
    write_pages(content, target)


def _limits(folder: RunFolder, name: str) -> tuple[str, ...]:
    """Return what a reader must know of the run beside these results."""
    of_run = read_document(folder.metrics, Evaluation.from_dict)
    limits = [
        f"Nothing was fitted on these images: pixels, model, calibration and thresholds are those of {name}.",
        f"On the run's own data: {headline_sentence(of_run)}",
    ]
    if of_run.by_case is not None and of_run.by_case.rule == "svm":
        limits.append("There are no numbers by case: the run's support vector machine of cases is not applied here.")
    return tuple(limits)
