"""What comes after the predictions of a run, whatever its labels are: numbers, lines and the page."""

from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.label_evaluation import LabelEvaluation
from radpath.evaluation.label_predictions import has_several_labels
from radpath.recipes.experiment import Experiment
from radpath.recipes.judging import evaluate_run
from radpath.recipes.label_judging import conclude_labels
from radpath.recipes.report import write_run_report
from radpath.recipes.telling import say_results
from radpath.run_folder import RunFolder


def conclude(experiment: Experiment, folder: RunFolder) -> Evaluation | LabelEvaluation:
    """Evaluate, tell and report what ``predictions.csv`` of a run says."""
    if has_several_labels(folder.predictions):
        return conclude_labels(experiment, folder)
    _, evaluation = evaluate_run(experiment, folder)
    say_results(evaluation)
    write_run_report(experiment, folder)
    return evaluation
