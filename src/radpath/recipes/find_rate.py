"""``find-rate``: a short training whose learning rate grows until the loss explodes, and a rate to begin with.

In: an experiment, a run, or images. Out: ``learning_rate.json``, ``.csv`` and ``.svg``. The run's own weights, batches,
augmentation, loss and optimiser are used, on a network that is thrown away; its head begins random, since a fitted one
has little left to lose.
"""

import csv
import io
from pathlib import Path

from radpath import files
from radpath.data.location import Location
from radpath.errors import SettingsError
from radpath.recipes.inspect import folder_to_write
from radpath.recipes.telling import say, say_path
from radpath.recipes.trials import gather_trial, name_of, one_device
from radpath.reporting.rate_figure import rate_figure
from radpath.training.rate_test import RateTest, endless_examples, run_rate_test
from radpath.training.trial import Trial

FEWEST_STEPS = 20
"""Fewer would leave gaps between rates that are wider than what is suggested."""


def find_rate(
    target: Location, *, labels: Location | None, assignments: list[str], out: Path | None, num_steps: int
) -> RateTest:
    """Test learning rates from 1e-6 to 1, write and tell what came of it.

    Args:
        target: an ``experiment.toml``, a run folder, or images: a folder or an array file.
        labels: a table, for images whose folders and names do not say the class.
        assignments: ``key=value`` settings that win.
        out: the folder; None for one below ``runs``.
        num_steps: of the test, each with another rate.

    Raises:
        RadpathError: bad input; the message says what, where and what to do.
    """
    if num_steps < FEWEST_STEPS:
        raise SettingsError(f"--steps is {num_steps}; a test of learning rates needs at least {FEWEST_STEPS}")
    folder = folder_to_write(out, f"{name_of(target)}-find-rate")
    data = gather_trial(target, labels=labels, assignments=assignments, folder=folder)
    fabric = one_device(data)
    model = data.fresh_model(fabric)
    source = data.source(model)
    learner = data.learner(model, source)
    trial = Trial(model, learner, data.experiment.training, loss=data.loss(source), fabric=fabric)
    result = run_rate_test(trial, endless_examples(learner), num_steps=num_steps)
    current = data.experiment.training.learning_rate
    files.write_json(folder / "learning_rate.json", {**result.to_dict(), "current": current})
    files.write_text(folder / "learning_rate.csv", _table(result))
    drawing = rate_figure(result.rates, result.losses, result.smoothed, suggestion=result.suggestion, current=current)
    files.write_text(folder / "learning_rate.svg", drawing)
    say(sentence(result, current=current))
    say_path("Figure", folder / "learning_rate.svg")
    return result


def _table(result: RateTest) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("learning_rate", "loss", "smoothed_loss"))
    writer.writerows(zip(result.rates, result.losses, result.smoothed, strict=True))
    return text.getvalue()


def sentence(result: RateTest, *, current: float) -> str:
    """Say what the test found, and which rate to set."""
    if result.suggestion is None or result.lowest is None:
        ended = "" if result.exploded is None else f", and it exploded at {result.exploded:.1e}"
        return (
            f"The loss fell at no rate{ended}: nothing to suggest; `radpath check-learning` tells whether the network "
            "can learn at all"
        )
    ended = "" if result.exploded is None else f" and explodes at {result.exploded:.1e}"
    return (
        f"The loss is lowest at a rate of {result.lowest:.1e}{ended}; begin with --set "
        f"training.learning_rate={result.suggestion:.1e} (now {current:.1e})"
    )
