"""Predictions of a run become its numbers: from ``predictions.csv`` to the files that the report is made of."""

import polars as pl

from radpath import files
from radpath.data.manifest import Manifest
from radpath.evaluation.cases import write_case_predictions
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import evaluate_with_cases
from radpath.evaluation.predictions import Predictions, read_predictions
from radpath.recipes.analyses import Judged, analyse
from radpath.recipes.characteristics import characteristics_of
from radpath.recipes.experiment import Experiment
from radpath.recipes.explained import forget_other_models
from radpath.recipes.frozen import freeze, write_frozen
from radpath.recipes.training_summary import moved_probabilities
from radpath.run_folder import RunFolder


def evaluate_run(
    experiment: Experiment, folder: RunFolder, *, characteristics: pl.DataFrame | None = None
) -> tuple[Predictions, Evaluation]:
    """Turn ``predictions.csv`` into ``metrics.json``, what is frozen, ``analyses/`` and, by case, a table.

    Args:
        experiment: the settings of the run.
        folder: the run.
        characteristics: what is known of each image, where the folder holds no manifest of its own.
    """
    predictions = read_predictions(folder.predictions)
    settings = experiment.evaluation.with_order(ordinal=experiment.training.loss.kind == "ordinal")
    evaluation, cases = evaluate_with_cases(predictions, settings)
    if cases is not None:
        write_case_predictions(cases, folder.case_predictions)
    files.write_json(folder.metrics, evaluation.to_dict())
    frozen = freeze(predictions, evaluation, settings)
    write_frozen(frozen, evaluation, folder)
    if characteristics is None and folder.manifest.is_file():
        known = Manifest.read(folder.manifest, images=experiment.data.images)
        characteristics = characteristics_of(known.table)
    judged = Judged(
        predictions=predictions,
        evaluation=evaluation,
        settings=settings,
        characteristics=characteristics,
        frozen=frozen,
        moved_by=moved_probabilities(experiment.training),
    )
    analyse(judged, folder.root)
    forget_other_models(folder)
    folder.stamp("evaluate", {"predictions.csv": files.digest_file(folder.predictions)})
    return predictions, evaluation
