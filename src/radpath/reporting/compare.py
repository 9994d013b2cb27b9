"""The page about several models on the same images: who is best, what can be told apart, and where they disagree.

In: ``CompareContent``, handed over by a recipe. Out: sections of blocks, which ``rendering`` makes a page of. Tables
and figures are in ``compare_tables`` and ``compare_figures``.
"""

import dataclasses
from collections.abc import Mapping

from radpath.data.findings import counted
from radpath.evaluation.comparison import Contender
from radpath.evaluation.comparison_disagreement import Disagreement, only_first_right
from radpath.evaluation.comparison_results import Comparison, marks
from radpath.evaluation.comparison_tests import FEW_DISCORDANT
from radpath.reporting.blocks import Block, Bullets, Gallery, Heading, Note, Paragraph, Picture, Section, Table
from radpath.reporting.compare_figures import MOST_CLASSES_DRAWN, roc_overlay, to_best_figure
from radpath.reporting.compare_tables import (
    areas_table,
    column_title,
    decisions_table,
    differences_table,
    models_table,
)
from radpath.reporting.wording import SIDE_NAMES, percent

_MOST_PAIRS_SHOWN = 4
_PICTURES_A_DIRECTION = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """What a reader must know of one model."""

    name: str
    place: str
    """The folder or file, as the user named it."""
    decides: str
    """How a probability becomes a decision, and what that was chosen on."""
    cases: str
    """How images become cases; empty where they do not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareContent:
    """Everything that the page shows."""

    comparison: Comparison
    contenders: tuple[Contender, ...]
    disagreements: tuple[Disagreement, ...]
    runs: tuple[ComparedRun, ...]
    command: str
    by_case: Comparison | None = None
    """The same by case, where every model has predictions of cases."""
    settings: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Settings that differ, with the value of each model."""
    pictures: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    """Thumbnails by record id."""
    cautions: tuple[str, ...] = ()


def compare_sections(content: CompareContent) -> tuple[Section, ...]:
    """Return the sections of the page."""
    sections = [_result(content), _differences(content)]
    if content.by_case is not None:
        sections.append(_cases(content.by_case))
    return (*sections, _curves(content), _disagreement(content), _models(content), _method(content))


def verdict(comparison: Comparison) -> str:
    """Return in a sentence or two who is best, who cannot be told from it, and who is worse."""
    found = marks(comparison)
    title = column_title(comparison, comparison.metrics[0])
    best = [mark.name for mark in found if mark.is_best]
    if not best:
        return f"No model has a value of {title} on these images, so none is best."
    value = next(one.estimates[0].value for one in comparison.models if one.name == best[0])
    sentences = [f"The best by {title} is {best[0]}, with {value or 0.0:.3f}."]
    sentences += _said_of(
        [mark.name for mark in found if mark.is_tied],
        "is not distinguishable from it",
        "are not distinguishable from it",
    )
    worse = [mark.name for mark in found if mark.to_best is not None and not mark.is_tied]
    sentences += _said_of(worse, "is worse", "are worse")
    return " ".join(sentences)


def shown_pairs(content: CompareContent) -> list[tuple[int, int, list[Disagreement]]]:
    """Return the pairs of which images are shown: the first alone right, the second wrong, and the other way round.

    These are the best model and each of the next few; the first is in each pair once before the other, once after.
    """
    names = content.comparison.names
    found = marks(content.comparison)
    best = next((place for place, mark in enumerate(found) if mark.is_best), 0)
    others = [place for place in range(len(names)) if place != best][:_MOST_PAIRS_SHOWN]
    directions = [pair for other in others for pair in ((best, other), (other, best))]
    return [
        (first, second, only_first_right(content.disagreements, first, second)[:_PICTURES_A_DIRECTION])
        for first, second in directions
    ]


def _said_of(names: list[str], one: str, several: str) -> list[str]:
    if not names:
        return []
    joined = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return [f"{joined} {one if len(names) == 1 else several}."]


def _result(content: CompareContent) -> Section:
    comparison = content.comparison
    blocks: list[Block] = [Note(text=caution, kind="warning") for caution in content.cautions]
    blocks += [Paragraph(text=_rests_on(comparison)), models_table(comparison)]
    figure = to_best_figure(comparison)
    blocks += [figure] if figure else []
    if any(mark.is_tied for mark in marks(comparison)):
        text = (
            "Not distinguishable does not mean equal: the interval of the difference says how much better or worse a "
            "model may still be."
        )
        blocks.append(Note(text=text))
    return Section(anchor="result", title="Result", blocks=tuple(blocks))


def _rests_on(comparison: Comparison) -> str:
    side = SIDE_NAMES[comparison.side].lower()
    of_class = ", ".join(f"{number:,} {name}" for name, number in comparison.images_per_class.items())
    units = counted(comparison.num_images, comparison.unit)
    cases = "" if comparison.unit == "case" else f" of {counted(comparison.num_cases, 'case')}"
    return f"Every model was judged on the same {units}{cases} of the {side} side ({of_class})."


def _differences(content: CompareContent) -> Section:
    comparison = content.comparison
    blocks: list[Block] = [
        Paragraph(
            text=(
                f"Each row is one pair of models in one metric. All models saw the same {comparison.replicates:,} "
                "resamples of whole cases, so what makes some images hard for all of them cancels."
            )
        ),
        differences_table(comparison),
        *_decisions(comparison),
    ]
    return Section(anchor="differences", title="Paired differences", blocks=tuple(blocks))


def _decisions(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = [Heading(text="Decisions (McNemar)"), decisions_table(comparison)]
    if comparison.num_cases < comparison.num_images:
        text = (
            "McNemar's test takes images for independent, which images of one case are not. The clustered p-value "
            "allows for that, and is the one that is corrected."
        )
        blocks.append(Note(text=text))
    return blocks


def _cases(by_case: Comparison) -> Section:
    figure = to_best_figure(by_case)
    blocks: list[Block] = [
        Paragraph(text=f"{_rests_on(by_case)} {verdict(by_case)}"),
        models_table(by_case),
        *([figure] if figure else []),
        differences_table(by_case),
        *_decisions(by_case),
        *_areas(by_case),
    ]
    return Section(anchor="by-case", title="By case", blocks=tuple(blocks))


def _areas(comparison: Comparison) -> list[Block]:
    if not comparison.area_differences:
        return []
    return [Heading(text="Areas (DeLong)"), areas_table(comparison)]


def _curves(content: CompareContent) -> Section:
    comparison = content.comparison
    overlay = roc_overlay(comparison, content.contenders)
    blocks: list[Block] = [overlay] if overlay else []
    if overlay is None:
        blocks.append(Paragraph(text=f"With more than {MOST_CLASSES_DRAWN} classes no ROC curves are drawn."))
    blocks += _areas(comparison)
    return Section(anchor="curves", title="ROC curves", blocks=tuple(blocks))


def _disagreement(content: CompareContent) -> Section:
    comparison, found = content.comparison, content.disagreements
    share = percent(len(found) / comparison.num_images)
    text = (
        f"The models disagree on {len(found):,} of {counted(comparison.num_images, 'image')} ({share}): at least one "
        "decided rightly and one wrongly. All are in disagreements.csv. Shown are those of the best model and another "
        "where the probabilities of the true class are furthest apart."
    )
    blocks: list[Block] = [Paragraph(text=text)]
    for first, second, images in shown_pairs(content):
        if not images:
            continue
        title = f"{comparison.names[first]} right, {comparison.names[second]} wrong"
        number = len(only_first_right(found, first, second))
        blocks.append(Heading(text=f"{title}: {counted(number, 'image')}"))
        blocks.append(_pictures(content, first, second, images))
    return Section(anchor="disagreement", title="Where they disagree", blocks=tuple(blocks))


def _pictures(content: CompareContent, first: int, second: int, images: list[Disagreement]) -> Block:
    """Return the images themselves, or a list of them where they are not there."""
    names = content.comparison.names
    if not all(one.record_id in content.pictures for one in images):
        return _image_table(content, first, second, images)
    return Gallery(
        caption=f"Probabilities of the true class: {names[first]}, then {names[second]}.",
        pictures=tuple(
            Picture(
                picture=content.pictures[one.record_id],
                alternative=f"{one.record_id}, truly {one.truth}, decided {one.decisions[second]} by {names[second]}",
                lines=(
                    one.record_id,
                    f"truth: {one.truth}",
                    f"{names[second]}: {one.decisions[second]}",
                    f"{one.truth_probabilities[first]:.3f} against {one.truth_probabilities[second]:.3f}",
                ),
            )
            for one in images
        ),
    )


def _image_table(content: CompareContent, first: int, second: int, images: list[Disagreement]) -> Table:
    names = content.comparison.names
    return Table(
        name=f"disagreement-{first + 1}-{second + 1}",
        caption="Each model's decision, and in brackets the probability that it gave to the true class.",
        columns=("Image", "Case", "Truth", f"{names[first]}", f"{names[second]}"),
        rows=tuple(
            (
                one.record_id,
                one.case,
                one.truth,
                *(f"{one.decisions[place]} ({one.truth_probabilities[place]:.3f})" for place in (first, second)),
            )
            for one in images
        ),
    )


def _models(content: CompareContent) -> Section:
    has_cases = any(run.cases for run in content.runs)
    blocks: list[Block] = [
        Table(
            name="runs",
            caption="What was compared, and how each model decides; nothing was fitted again.",
            columns=("Model", "Place", "Decision", *(["Cases"] if has_cases else [])),
            rows=tuple((run.name, run.place, run.decides, *([run.cases] if has_cases else [])) for run in content.runs),
        )
    ]
    if content.settings:
        blocks.append(
            Table(
                name="settings",
                caption="Settings that are not the same in all runs; those that are, are left out.",
                columns=("Setting", *(run.name for run in content.runs)),
                rows=tuple((key, *values) for key, values in content.settings),
            )
        )
    return Section(anchor="models", title="The models", blocks=tuple(blocks))


def _method(content: CompareContent) -> Section:
    comparison = content.comparison
    level = percent(1 - comparison.confidence, 0)
    unit, num_tests = comparison.unit, len(comparison.differences)
    title = column_title(comparison, comparison.metrics[0])
    best = (
        f"Best: the model with the best {title} on these very images; it was not named before. The correction is over "
        f"all {counted(num_tests, 'test')}, of every pair in every metric, not only those with the best, so that "
        f"whichever turned out best, the chance of calling any model worse by accident is about {level}, and more "
        f"where few {unit}s tell the models apart."
    )
    bootstrap = (
        f"Intervals and p-values of differences: paired bootstrap, {comparison.replicates:,} resamples of whole cases, "
        f"seed {comparison.seed}, the same for all models. The p-value is two-sided and inverts the percentile "
        f"interval, so it is at least {2 / (comparison.replicates + 1):.2g}. Of accuracy, balanced accuracy, "
        f"sensitivity and specificity, where fewer than {FEW_DISCORDANT} cases tell two models apart, it is no smaller "
        "than that of an exact test, of all signs that their differences could have."
    )
    holm = "Correction: Holm 1979, within each table of tests; it holds however the tests depend on each other."
    mcnemar = (
        f"McNemar's test: exact binomial where fewer than {FEW_DISCORDANT} {unit}s were decided rightly by one model "
        "alone, the mid-p-value elsewhere. Where cases have several images: for few cases that differ, all signs that "
        "their differences could have; for more, Obuchowski's (1998) chi-square."
    )
    own = (
        "A model's own interval is about new cases for that model alone: two such intervals may overlap although the "
        "paired difference is clear."
    )
    return Section(
        anchor="method",
        title="How it was compared",
        blocks=(Bullets(items=(best, bootstrap, holm, mcnemar, own)), Paragraph(text=f"Command: {content.command}")),
    )
