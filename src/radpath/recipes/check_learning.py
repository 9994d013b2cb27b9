"""``check-learning``: can this network, with these settings, learn a handful of images by heart?

In: an experiment, a run, or images. Out: checks with pass or fail, ``check_learning.json`` and ``check_learning.csv``.
A network that cannot do this will not learn the whole: something is wrong with its weights, its rate, what may learn,
or the images. Augmentation, dropout, smoothing and mixing are off, and the head begins random.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import numpy as np

from radpath import files
from radpath.data.augmentation.settings import AugmentationSettings
from radpath.data.findings import counted
from radpath.data.label_sets import label_matrix
from radpath.data.location import Location
from radpath.errors import SettingsError, TrainingError
from radpath.recipes.experiment import Experiment
from radpath.recipes.failures import say_failure
from radpath.recipes.inspect import folder_to_write
from radpath.recipes.telling import say, say_path, say_rows
from radpath.recipes.trials import TrialData, gather_trial, name_of, one_device
from radpath.reporting.content import Check
from radpath.training.diagnosis import Failure, name_causes
from radpath.training.evidence import candidates_of_step, gather_evidence
from radpath.training.overfit import LEARNED, Attempt, is_learned, overfit, pick_handful
from radpath.training.trial import Trial
from radpath.training.watch import SpoiltError, Watch

_USUAL_START: Final = 2.0  # times the loss of a network that knows nothing
_HARDLY: Final = 0.9  # of the first loss
_NAMES_SHOWN: Final = 3


@final
class _Bench:
    """A fresh network, and a handful of images to learn."""

    def __init__(self, data: TrialData) -> None:
        self.data, self.fabric = data, one_device(data)
        training = data.experiment.training
        self.model = data.fresh_model(self.fabric)
        self.frozen = self.model.frozen_checksum()
        self.source = data.source(self.model)
        self.learner = data.learner(self.model, self.source)
        self.loss = data.loss(self.source).to(self.fabric.device)
        self.trial = Trial(self.model, self.learner, training, loss=self.loss, fabric=self.fabric)
        self.chance_loss = self.loss.of_equal_logits(self.source.labels)
        skips = data.experiment.device.precision == "16-mixed"
        self.watch = Watch(training.watch, chance_loss=self.chance_loss, from_start=True, skips_steps=skips)
        self.attempts: list[Attempt] = []
        self.failure: Failure | None = None

    def learn(self, *, num_steps: int) -> None:
        """Learn, and find out why where numbers are spoilt."""
        rate = self.data.experiment.training.learning_rate
        passes = overfit(self.trial, self.learner, self.watch, rate=rate, num_steps=num_steps)
        try:
            self.attempts.extend(passes)
        except SpoiltError as spoilt:
            evidence = gather_evidence(
                str(spoilt),
                self.watch,
                candidates_of_step(self.learner, self.source, self.watch.batches, epoch=1),
                model=self.model,
                loss=self.loss,
                classes=self.data.classes,
                fabric=self.fabric,
            )
            self.failure = Failure(kept_epoch=None, causes=name_causes(evidence), evidence=evidence)


def check_learning(
    target: Location,
    *,
    labels: Location | None,
    assignments: list[str],
    out: Path | None,
    per_class: int,
    num_steps: int,
) -> tuple[Check, ...]:
    """Learn a handful of images by heart, check what can be checked on the way, write and tell it.

    Args:
        target: an ``experiment.toml``, a run folder, or images: a folder or an array file.
        labels: a table, for images whose folders and names do not say the class.
        assignments: ``key=value`` settings that win.
        out: the folder; None for one below ``runs``.
        per_class: images of each class.
        num_steps: at most.

    Raises:
        TrainingError: a check failed.
        RadpathError: bad input; the message says what, where and what to do.
    """
    if min(per_class, num_steps) < 1:
        raise SettingsError(f"--per-class is {per_class} and --steps {num_steps}; both must be at least 1")
    folder = folder_to_write(out, f"{name_of(target)}-check-learning")
    data = gather_trial(target, labels=labels, assignments=assignments, folder=folder)
    data = _handful(dataclasses.replace(data, experiment=calm(data.experiment)), per_class)
    training = data.experiment.training
    say(f"Learning {counted(len(data.table), 'image')} by heart at a rate of {training.learning_rate:g}")
    bench, again = _Bench(data), _Bench(data)
    again.learn(num_steps=1)
    bench.learn(num_steps=num_steps)
    checks = (_start(bench), _same_seed(bench, again), _reached(bench), _frozen(bench), _by_heart(bench))
    _write(folder, bench, checks)
    say_rows("Checks", [(check.outcome, check.what, check.detail) for check in checks])
    say("")
    say_path("Steps", folder / "check_learning.csv")
    failed = [check for check in checks if check.outcome == "failed"]
    if bench.failure is not None:
        say_failure(bench.failure.to_dict())
    if failed:
        raise TrainingError(f"check failed: {failed[-1].what}: {failed[-1].detail}")
    return checks


def calm(experiment: Experiment) -> Experiment:
    """Return the same experiment with everything off that makes learning by heart harder."""
    training, head = experiment.training, experiment.model.head
    easier = {
        "loss": training.loss.model_copy(update={"label_smoothing": 0.0}),
        "mix": training.mix.model_copy(update={"kind": "none"}),
        "sampling": "natural",
    }
    return experiment.model_copy(
        update={
            "augmentation": AugmentationSettings().only(),
            "training": training.model_copy(update=easier),
            "model": experiment.model.model_copy(update={"head": head.model_copy(update={"dropout": 0.0})}),
        }
    )


def _handful(data: TrialData, per_class: int) -> TrialData:
    labels = _classes_to_pick(data)
    seed = data.experiment.training.seed
    chosen = pick_handful(labels, data.table["case"].to_list(), per_class=per_class, seed=seed)
    return dataclasses.replace(data, table=data.table[chosen.tolist()])


def _classes_to_pick(data: TrialData) -> np.ndarray:
    """Return a class for each image; of several labels the rarest that it has, and a class of its own for none."""
    place = {name: number for number, name in enumerate(data.classes)}
    if data.experiment.training.loss.link != "sigmoid":
        return np.array([place[label] for label in data.table["label"]], dtype=np.int64)
    there = label_matrix(data.table["label"].to_list(), data.classes) == 1
    rarest_first = there.sum(axis=0).argsort(kind="stable")
    first: np.ndarray = rarest_first[there[:, rarest_first].argmax(axis=1)]
    return np.where(there.any(axis=1), first, len(place))


def _check(what: str, *, passed: bool, detail: str) -> Check:
    return Check(what=what, outcome="passed" if passed else "failed", detail=detail)


def _start(bench: _Bench) -> Check:
    start = bench.watch.first.loss if bench.watch.first else math.nan
    detail = f"its first loss is {start:.3g}, and {bench.chance_loss:.3g} would be that of equal logits"
    return _check("A random head knows nothing", passed=start <= _USUAL_START * bench.chance_loss, detail=detail)


def _same_seed(bench: _Bench, again: _Bench) -> Check:
    first, second = (one.watch.first.loss if one.watch.first else math.nan for one in (bench, again))
    same = first == second or (math.isnan(first) and math.isnan(second))
    return _check("The same seed gives the same loss", passed=same, detail=f"{first:.6g} and {second:.6g}")


def _reached(bench: _Bench) -> Check:
    missed = sorted(bench.trial.unreached)
    detail = f"{counted(len(missed), 'tensor')} without one: {_some(missed)}" if missed else "all of them"
    return _check("A gradient reaches everything that may learn", passed=not missed, detail=detail)


def _frozen(bench: _Bench) -> Check:
    touched = bench.trial.reached_frozen
    changed = bench.model.frozen_checksum() != bench.frozen
    detail = f"with a gradient: {_some(touched)}" if touched else "its checksum changed" if changed else ""
    detail = detail or ("its checksum is what it was" if bench.frozen else "nothing is frozen")
    return _check("What is frozen stays as it is", passed=not touched and not changed, detail=detail)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")


def _by_heart(bench: _Bench) -> Check:
    what = "A handful of images is learned by heart"
    if bench.failure is not None:
        return _check(what, passed=False, detail=bench.failure.told())
    last = bench.attempts[-1]
    told = f"after {counted(last.number, 'pass')} the loss is {last.loss:.3g}, the accuracy {last.accuracy:.3g}"
    if is_learned(last, chance_loss=bench.chance_loss):
        return _check(what, passed=True, detail=told)
    wanted = f"wanted are an accuracy of 1 and a loss below {LEARNED * bench.chance_loss:.3g}"
    return _check(what, passed=False, detail=f"{told}; {wanted}; {_advice(bench)}")


def _advice(bench: _Bench) -> str:
    """Say what is probably the matter where nothing is spoilt, and the images are not learned all the same."""
    first, last = bench.attempts[0].loss, bench.attempts[-1].loss
    rate, freeze = bench.data.experiment.training.learning_rate, bench.data.experiment.model.freeze
    if bench.trial.unreached:
        return f"no gradient reaches {_some(sorted(bench.trial.unreached))}"
    if last > first:
        return f"the loss rose: training.learning_rate, {rate:g}, is probably too high; see `radpath find-rate`"
    if last > _HARDLY * first:
        cure = f"training.learning_rate, {rate:g}, is probably too low; see `radpath find-rate`"
        return cure if freeze == "none" else f"{cure}; or too little learns with model.freeze = '{freeze}'"
    return "the loss falls: give more --steps, or raise training.learning_rate; see `radpath find-rate`"


def _write(folder: Path, bench: _Bench, checks: Sequence[Check]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Attempt))
    writer.writerows(dataclasses.astuple(attempt) for attempt in bench.attempts)
    files.write_text(folder / "check_learning.csv", text.getvalue())
    story = {
        "passed": all(check.outcome == "passed" for check in checks),
        "checks": [dataclasses.asdict(check) for check in checks],
        "images": bench.data.table["record_id"].to_list(),
        "failure": None if bench.failure is None else bench.failure.to_dict(),
    }
    files.write_json(folder / "check_learning.json", story)
