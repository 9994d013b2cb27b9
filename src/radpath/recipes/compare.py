"""Several models on the same images become one page: who is best, what can be told apart, and where they disagree.

In: run folders and predictions of any program. Out: ``compare.html``, ``comparison.json``, ``disagreements.csv``, and
every table and figure beside them. No model is needed; images only for thumbnails.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from radpath import files
from radpath.errors import SettingsError
from radpath.evaluation.comparison import COMPARED_METRICS, Contender, compare
from radpath.evaluation.comparison_disagreement import disagreements, write_disagreements
from radpath.evaluation.comparison_results import Comparison, marks
from radpath.evaluation.estimates import Unit
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.recipes.beginning import default_folder, new_run
from radpath.recipes.compared import Entrant, open_entrants
from radpath.recipes.describe import Pictures
from radpath.recipes.telling import say, say_path, say_rows
from radpath.records import SIDES, Side
from radpath.reporting.compare import CompareContent, ComparedRun, compare_sections, shown_pairs, verdict
from radpath.reporting.compare_tables import column_title, difference_text, mark_text
from radpath.reporting.rendering import write_sections_page
from radpath.reporting.wording import SIDE_NAMES, case_sentence, estimate_text, percent, threshold_sentence
from radpath.settings import flatten, override, parse_settings

_NOT_UNSEEN: Mapping[Side, str] = {
    "train": "The models learned from these images: how they differ here says nothing about new ones.",
    "validation": "Epochs and thresholds were chosen on these images, so all numbers are somewhat too good.",
}


def compare_runs(
    targets: Sequence[str],
    *,
    side: str,
    metrics: Sequence[str],
    assignments: list[str],
    out: Path | None,
    command: str,
) -> Comparison:
    """Compare models on the same images, tell the result, and write it.

    Args:
        targets: two or more of ``PLACE`` or ``NAME=PLACE``: run folders, ensembles, or a ``predictions.csv``.
        side: the side of the split that judges them.
        metrics: what is compared, the first one names the best; empty for the usual ones.
        assignments: settings of ``[evaluation]``: confidence, kind of interval, replicates, seed, positive class.
        out: the folder to write; None for a new one below ``runs``.
        command: the command line, for the page.

    Raises:
        LeakError: a case that judges one model is one that another learned from.
        RadpathError: the runs cannot be compared; the message says why.
    """
    if side not in SIDES:
        raise SettingsError(f"--side is '{side}'; it must be {', '.join(SIDES)}")
    settings = _settings(assignments)
    entrants = open_entrants(targets, settings, side=side)
    with new_run(default_folder(out, "compare")) as folder:
        content = _compared(entrants, settings, side, tuple(metrics) or COMPARED_METRICS, command)
        _tell(content)
        _write(content, folder.root)
    say("")
    say_path("Comparison", folder.root / "compare.html")
    return content.comparison


def _settings(assignments: list[str]) -> EvaluationSettings:
    values = override({"evaluation": {}}, assignments)
    if set(values) != {"evaluation"}:
        raise SettingsError("only settings of [evaluation] can be set for a comparison: --set evaluation.seed=1")
    return parse_settings(EvaluationSettings, values["evaluation"], source="--set evaluation")


def _compared(
    entrants: Sequence[Entrant], settings: EvaluationSettings, side: Side, metrics: tuple[str, ...], command: str
) -> CompareContent:
    contenders = [one.by_image for one in entrants]
    positive_class = _positive_class(entrants, settings)
    comparison = _comparison(contenders, settings, side, metrics, positive_class, "image")
    cases = [one.by_case for one in entrants]
    of_cases = [one for one in cases if one is not None]
    by_case = None
    if len(of_cases) == len(entrants):
        by_case = _comparison(of_cases, settings, side, metrics, positive_class, "case")
    content = CompareContent(
        comparison=comparison,
        contenders=tuple(contenders),
        disagreements=disagreements(contenders, side),
        runs=tuple(_described(one) for one in entrants),
        command=command,
        by_case=by_case,
        settings=_differing_settings(entrants),
        cautions=tuple(_cautions(entrants, side, some_by_case=0 < len(of_cases) < len(entrants))),
    )
    return dataclasses.replace(content, pictures=_pictures(content, entrants))


def _comparison(
    contenders: Sequence[Contender],
    settings: EvaluationSettings,
    side: Side,
    metrics: tuple[str, ...],
    positive_class: str | None,
    unit: Unit,
) -> Comparison:
    return compare(
        contenders,
        side=side,
        metrics=metrics,
        positive_class=positive_class,
        confidence=settings.confidence,
        replicates=settings.replicates,
        seed=settings.seed,
        unit=unit,
        metric_settings=settings.metrics,
        stratified=settings.stratified,
        interval=settings.interval,
    )


def _positive_class(entrants: Sequence[Entrant], settings: EvaluationSettings) -> str | None:
    """Return the class that is ranked: the one that was asked for, else that of the first model."""
    wanted, known = settings.positive_class, entrants[0].evaluation.positive_class
    if wanted is None:
        return known
    classes = entrants[0].predictions.classes
    if known is None or wanted not in classes:
        raise SettingsError(f"evaluation.positive_class is '{wanted}'; the classes are {', '.join(classes)}")
    return wanted


def _described(one: Entrant) -> ComparedRun:
    by_case = one.evaluation.by_case
    return ComparedRun(
        name=one.name,
        place=one.place,
        decides=threshold_sentence(one.evaluation),
        cases="" if by_case is None else case_sentence(by_case),
    )


def _cautions(entrants: Sequence[Entrant], side: Side, *, some_by_case: bool) -> list[str]:
    cautions = [_NOT_UNSEEN[side]] if side in _NOT_UNSEEN else []
    unknown = [one.name for one in entrants if "train" not in one.predictions.sides]
    if unknown:
        cautions.append(
            f"The predictions of {', '.join(unknown)} list no training images, so whether any of these images was "
            "learned from is not known."
        )
    cautions += [f"{one.name}: {sentence}" for one in entrants for sentence in one.assumptions]
    if some_by_case:
        cautions.append("Not every model has predictions of cases, so there is no comparison by case.")
    return cautions


def _differing_settings(entrants: Sequence[Entrant]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the settings that are not the same in all runs that have any."""
    known = [_plain(one) for one in entrants]
    keys = dict.fromkeys(key for values in known for key in values)
    with_settings = [values for values in known if values]
    return tuple(
        (key, tuple(values.get(key, "–") for values in known))  # noqa: RUF001 - the dash of a value that is not there
        for key in keys
        if len({values.get(key) for values in with_settings}) > 1
    )


def _plain(one: Entrant) -> dict[str, str]:
    if one.experiment is None:
        return {}
    values = flatten(one.experiment.model_dump(mode="json"))
    return {key: "not set" if value is None else str(value) for key, value in values.items()}


def _pictures(content: CompareContent, entrants: Sequence[Entrant]) -> dict[str, bytes]:
    """Return thumbnails of the images that are shown, from the first run whose images are known."""
    shown = {one.record_id for _, _, images in shown_pairs(content) for one in images}
    for entrant in entrants:
        manifest = entrant.manifest()
        if manifest is not None and entrant.experiment is not None:
            pictures = Pictures(manifest, entrant.experiment.data)
            return {record_id: pictures.of(record_id) for record_id in sorted(shown)}
    return {}


def _tell(content: CompareContent) -> None:
    comparison = content.comparison
    say("")
    say(verdict(comparison))
    _tell_numbers(comparison)
    if content.by_case is not None:
        say("")
        say(f"By case: {verdict(content.by_case)}")
        _tell_numbers(content.by_case)
    say_rows("Cautions", [("-", caution) for caution in content.cautions])


def _tell_numbers(comparison: Comparison) -> None:
    side, unit = SIDE_NAMES[comparison.side], comparison.unit
    titles = {metric: column_title(comparison, metric) for metric in comparison.metrics}
    number = comparison.num_images if unit == "image" else comparison.num_cases
    heading = f"{side} side, {number:,} {unit}s ({percent(comparison.confidence, 0)} intervals by case)"
    found = {mark.name: mark_text(mark) for mark in marks(comparison)}
    rows = [
        (model.name, titles[one.metric], estimate_text(one), found[model.name] if place == 0 else "")
        for model in comparison.models
        for place, one in enumerate(model.estimates)
    ]
    say_rows(heading, rows)
    say_rows(
        "Paired differences (p corrected over all of them)",
        [
            (f"{one.first} - {one.second}", titles[one.metric], difference_text(comparison, one))
            for one in comparison.differences
        ],
    )


def _write(content: CompareContent, root: Path) -> None:
    comparison = content.comparison
    values = {
        "command": content.command,
        "runs": [dataclasses.asdict(run) for run in content.runs],
        "marks": {mark.name: mark_text(mark) for mark in marks(comparison)},
        "by_image": comparison.to_dict(),
        "by_case": None if content.by_case is None else content.by_case.to_dict(),
        "cautions": list(content.cautions),
    }
    files.write_json(root / "comparison.json", values)
    write_disagreements(content.disagreements, comparison.names, root / "disagreements.csv")
    write_sections_page(
        compare_sections(content),
        root / "compare.html",
        title=f"{', '.join(comparison.names[:-1])} and {comparison.names[-1]}",
        lead=verdict(comparison),
        kind="comparison",
    )
