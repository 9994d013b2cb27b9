"""Several runs become one prediction: the weighted mean of their probabilities, judged like a run.

In: finished runs with the same test side. Out: a folder with the predictions, numbers and report of their mean, and
``ensemble.json``, which names the members, their models' digests and their weights. The members stay where they are.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np

from radpath import files
from radpath.data.findings import counted
from radpath.errors import DataError, SettingsError, StaleError
from radpath.evaluation.comparison import Contender, compare
from radpath.evaluation.comparison_results import marks
from radpath.evaluation.ensembles import WeightRule, choose_weights, combine
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.predictions import Predictions, write_predictions
from radpath.evaluation.thresholds import Threshold
from radpath.recipes.beginning import default_folder, new_run
from radpath.recipes.environment import describe_environment
from radpath.recipes.experiment import Experiment
from radpath.recipes.judging import evaluate_run
from radpath.recipes.members import Member, open_member, open_members
from radpath.recipes.report import gather_content, write_pages
from radpath.recipes.running import read_document
from radpath.recipes.telling import say, say_members, say_path, say_results
from radpath.reporting.compare_tables import mark_text
from radpath.reporting.content import MemberScore, TrainingSummary
from radpath.run_folder import RunFolder

_NAMES: Final[dict[WeightRule, str]] = {
    "equal": "equal weights",
    "validation": "weights that minimise the log loss on validation",
    "greedy": "weights by greedy selection on validation",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """One member of an ensemble as its folder remembers it."""

    run: Path
    model_digest: str
    weight: float


def make_ensemble(runs: Sequence[Path], *, weights: str, out: Path | None, command: str) -> RunFolder:
    """Join finished runs, and write and tell how good their mean is, beside each of them.

    Args:
        runs: run folders with the same test side: folds, seeds or architectures.
        weights: how much each counts: all alike, or as validation images that all runs share say.
        out: the folder to write; None for a new one below ``runs``.
        command: the command line, for the report.

    Raises:
        LeakError: a test case of one run is a training or validation case of another.
        RadpathError: the runs cannot be joined; the message says why.
    """
    if weights not in get_args(WeightRule):
        raise SettingsError(f"--weights is '{weights}'; it must be {', '.join(get_args(WeightRule))}")
    rule = cast("WeightRule", weights)
    members = open_members(runs)
    shares = choose_weights(rule, [member.predictions for member in members])
    predictions = combine([member.predictions for member in members], shares)
    with new_run(default_folder(out, "ensemble")) as folder:
        write_predictions(predictions, folder.predictions)
        folder.stamp("predict", {"predictions.csv": files.digest_file(folder.predictions)})
        environment = describe_environment(members[0].experiment, command=command, device="none: from predictions")
        files.write_json(folder.environment, environment)
        files.write_json(folder.ensemble, _description(members, shares, rule, folder))
        judge_ensemble(folder)
    say_path("Ensemble", folder.root)
    return folder


def _description(
    members: Sequence[Member], shares: np.ndarray, weights: WeightRule, folder: RunFolder
) -> dict[str, Any]:
    return {
        "weights": weights,
        "positive_class": members[0].evaluation.positive_class,
        "members": [
            {
                # Relative, so that runs and ensemble may move together.
                "run": Path(os.path.relpath(member.folder.root.resolve(), folder.root.resolve())).as_posix(),
                "model_digest": member.model_digest,
                "weight": float(weight),
            }
            for member, weight in zip(members, shares, strict=True)
        ],
    }


def read_ensemble(folder: RunFolder) -> list[Share]:
    """Read who belongs to an ensemble.

    Raises:
        DataError: the file is damaged.
    """
    return read_document(
        folder.ensemble,
        lambda found: [
            Share(run=folder.root / one["run"], model_digest=one["model_digest"], weight=float(one["weight"]))
            for one in found["members"]
        ],
    )


def require_same_model(share: Share, member_digest: str) -> None:
    """Refuse a member that was trained or picked anew since.

    Raises:
        StaleError: naming the run.
    """
    if share.model_digest != member_digest:
        raise StaleError(
            f"{share.run}: its model is not the one that the ensemble was made of; make the ensemble again"
        )


def judge_ensemble(folder: RunFolder) -> Evaluation:
    """Turn an ensemble's ``predictions.csv`` into its numbers and pages, and tell them.

    Raises:
        StaleError: a member's model changed.
        DataError: a member is not there any more.
    """
    now = {"predictions.csv": files.digest_file(folder.predictions)}
    folder.require_fresh("predict", now, remedy="restore it, or make the ensemble again")
    rule, positive_class = read_document(
        folder.ensemble, lambda found: (_NAMES[found["weights"]], found["positive_class"])
    )
    scores, joined, first = [], [], None
    for share in read_ensemble(folder):
        member = open_member(share.run)
        require_same_model(share, member.model_digest)
        name = member.folder.root.resolve().name
        scores.append(MemberScore(name=name, weight=share.weight, evaluation=member.evaluation))
        joined.append((member.predictions, member.evaluation.threshold))
        first = first or member
    if first is None:
        raise DataError(f"{folder.ensemble} names no member; make the ensemble again")
    experiment = _judged_as(first.experiment, positive_class)
    predictions, evaluation = evaluate_run(experiment, folder)
    *own, joined_mark = _marks([*joined, (predictions, evaluation.threshold)], evaluation, experiment)
    scores = [dataclasses.replace(score, mark=mark) for score, mark in zip(scores, own, strict=True)]
    say_results(evaluation)
    say_members(scores, evaluation, joined_mark=joined_mark)
    _write_report(experiment, first, folder, scores, rule, joined_mark=joined_mark)
    return evaluation


def _marks(
    models: Sequence[tuple[Predictions, Threshold | None]], evaluation: Evaluation, experiment: Experiment
) -> list[str]:
    """Return where each model stands beside the best by ROC AUC; empty words where too little is labelled to test."""
    if "test" not in evaluation.sides or evaluation.sides["test"].num_cases < 2:
        return [""] * len(models)
    settings = experiment.evaluation
    comparison = compare(
        [
            Contender(name=str(place), predictions=predictions, threshold=threshold)
            for place, (predictions, threshold) in enumerate(models)
        ],
        metrics=("roc_auc",),
        positive_class=evaluation.positive_class,
        confidence=settings.confidence,
        replicates=settings.replicates,
        seed=settings.seed,
        stratified=settings.stratified,
    )
    return [mark_text(mark) for mark in marks(comparison)]


def _judged_as(experiment: Experiment, positive_class: str | None) -> Experiment:
    """Return the first member's settings; folds may differ in which class is the rarer one, so it is fixed."""
    evaluation = experiment.evaluation.model_copy(update={"positive_class": positive_class})
    return experiment.model_copy(update={"evaluation": evaluation})


def _write_report(
    experiment: Experiment,
    first: Member,
    folder: RunFolder,
    scores: Sequence[MemberScore],
    rule: str,
    *,
    joined_mark: str,
) -> None:
    content = gather_content(experiment, first.folder, results=folder)
    model = f"the mean of the probabilities of {counted(len(scores), 'run')}, with {rule}"
    note = (
        f"The data, the split and the settings shown are those of {scores[0].name}, the first of the members; each "
        "member's own report shows its own."
    )
    training = TrainingSummary(model=model, history=(), chosen_epoch=None, chosen_by="", padded_share={})
    joined = dataclasses.replace(
        content,
        training=training,
        plan=(),
        members=tuple(scores),
        joined_mark=joined_mark,
        limits=(note, *content.limits),
    )
    write_pages(joined, folder)
    say("")
    say_path("Report", folder.report)
