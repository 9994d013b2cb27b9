"""The section on how the model was planned and how it learned.

In: ``RunFacts``. Out: a section, or None where nothing is known of a training.
"""

from collections.abc import Mapping

from radpath.data.findings import counted
from radpath.reporting.blocks import Block, Drawing, Folded, Heading, Paragraph, Section, Table
from radpath.reporting.content import Choice, RunFacts, TrainingSummary
from radpath.reporting.tables import history_table
from radpath.reporting.wording import SIDE_NAMES, percent


def training_section(content: RunFacts, figures: Mapping[str, str]) -> Section | None:
    """Return the plan, what was trained and which epoch was kept."""
    training = content.training
    if training is None:
        return None
    blocks: list[Block] = [
        Heading(text="Model", anchor="model"),
        Paragraph(text=f"{training.model.removesuffix('.')}."),
    ]
    if content.plan:
        blocks += [Heading(text="Plan", anchor="plan"), _plan_table(content.plan)]
    blocks += [Heading(text="What was kept", anchor="kept"), Paragraph(text=_training_sentence(training))]
    if "training" in figures:
        caption = "Loss and validation AUC after each epoch; the dashed line marks the epoch that was kept."
        blocks.append(Drawing(name="training", svg=figures["training"], caption=caption))
    if training.padded_share:
        blocks += [Heading(text="Padded pixels"), Paragraph(text=_padding_sentence(training))]
    if training.history:
        table = history_table(training.history, training.chosen_epoch)
        blocks.append(Folded(summary="Every epoch", blocks=(table,)))
    return Section(anchor="training", title="Plan and training", blocks=tuple(blocks))


def _plan_table(plan: tuple[Choice, ...]) -> Table:
    return Table(
        name="plan",
        caption="What was chosen for these data, and why.",
        columns=("Setting", "Value", "Because"),
        rows=tuple((choice.setting, choice.value, choice.reason) for choice in plan),
    )


def _training_sentence(training: TrainingSummary) -> str:
    if not training.history:
        return "Nothing was trained in this run."
    seconds = sum(row.seconds for row in training.history)
    kept = "" if training.chosen_epoch is None else f" Epoch {training.chosen_epoch} was kept: {training.chosen_by}."
    return f"{counted(len(training.history), 'epoch')} in {_duration(seconds)}.{kept}"


def _duration(seconds: float) -> str:
    """Return a duration a person would say.

    >>> _duration(7.4), _duration(180.0), _duration(9000.0)
    ('7 s', '3.0 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _padding_sentence(training: TrainingSummary) -> str:
    shares = ", ".join(f"{SIDE_NAMES[side].lower()} {percent(share)}" for side, share in training.padded_share.items())
    return f"Share of pixels that are padding, which the model ignores: {shares}."
