"""A run folder's files become the page, the figures and the model card; the model is not needed."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from radpath import files
from radpath.data.array_file import is_array_file
from radpath.data.findings import counted
from radpath.data.inputs import DataSettings
from radpath.data.leaks import Audit
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.predictions import Predictions, read_predictions
from radpath.evaluation.thresholds import decide
from radpath.models.heads import HeadKind
from radpath.recipes.analyses import read_sections
from radpath.recipes.characteristics import characteristics_of
from radpath.recipes.experiment import Experiment, read_experiment
from radpath.recipes.pictures import Pictures
from radpath.recipes.running import (
    read_audit,
    read_choices,
    read_document,
    read_findings,
    read_intensity,
    read_stain,
)
from radpath.recipes.staleness import require_same_settings
from radpath.recipes.telling import say_path
from radpath.recipes.training_summary import kept_epoch, training_limits
from radpath.records import SIDES, Side
from radpath.reporting.blocks import Section, Table
from radpath.reporting.card import write_model_card
from radpath.reporting.characteristics_table import characteristics_table
from radpath.reporting.content import (
    Check,
    DataSummary,
    Epoch,
    Exclusion,
    Mistake,
    ReportContent,
    Sample,
    SideCounts,
    SplitSummary,
    TrainingSummary,
)
from radpath.reporting.page import top_blocks, write_report
from radpath.reporting.pdf import can_write_pdf, render_pdf, require_typst
from radpath.reporting.sections import report_sections
from radpath.reporting.table_files import write_drawings, write_tables
from radpath.reporting.wording import reported_sides
from radpath.run_folder import RunFolder
from radpath.seeding import generator_for
from radpath.settings import flatten
from radpath.training import history

_Wrong = tuple[float, int, str]
"""The probability of the truth, the row, and the truth."""

_SAMPLES_A_CLASS: Final = 6
_MISTAKES: Final = 12
_MISTAKES_OF_A_KIND: Final = 8
_EXAMPLES_A_REASON: Final = 5
_HEADS: Final[dict[HeadKind, str]] = {
    "linear": "a linear head",
    "nonlinear": "a head with a hidden layer",
    "conv": "a convolutional head",
    "conv_skip": "a convolutional head with a skip",
}


def rebuild_report(root: Path, *, pdf: bool = False) -> None:
    """Write the pages of a finished run again, from its files alone, without the model.

    Args:
        root: a run folder.
        pdf: whether to make ``report.pdf`` too; one that is there is renewed in any case.

    Raises:
        StaleError: predictions or settings changed since the numbers were made.
        RadpathError: the folder holds no finished run, or a PDF was asked for and cannot be made.
    """
    if pdf:
        require_typst()
    folder = RunFolder.open(root)
    now = {"predictions.csv": files.digest_file(folder.predictions)} if folder.predictions.is_file() else {}
    folder.require_fresh("evaluate", now, remedy="run `radpath evaluate` on the folder first")
    experiment = read_experiment(folder.experiment, [])
    require_same_settings(folder, experiment)
    write_pages(gather_content(experiment, folder), folder, pdf=pdf)
    say_path("Report", folder.report)
    if folder.report_pdf.is_file():
        say_path("PDF", folder.report_pdf)


def write_run_report(experiment: Experiment, folder: RunFolder) -> None:
    """Write ``report.html``, ``figures/``, ``tables/`` and ``model_card.md`` from the other files of the folder.

    Raises:
        DataError: a file of the run is missing or damaged.
    """
    write_pages(gather_content(experiment, folder), folder)


def write_pages(content: ReportContent, folder: RunFolder, *, pdf: bool = False) -> None:
    """Write what ``gather_content`` gathered as the page, its figures, its tables and the model card of a folder.

    A PDF that is there already is renewed, or removed where Typst is not installed, so that it never tells old numbers.
    """
    sections = report_sections(content)
    write_drawings(sections, folder.figures)
    write_tables(sections, folder.tables)
    write_model_card(content, folder.model_card)
    write_report(content, folder.report, sections=sections)
    if pdf or folder.report_pdf.is_file():
        _write_pdf(content, folder, sections)


def _write_pdf(content: ReportContent, folder: RunFolder, sections: Sequence[Section]) -> None:
    folder.report_pdf.unlink(missing_ok=True)
    if can_write_pdf():
        top = top_blocks(content)
        drawn = render_pdf(sections, title=content.title, lead=content.question, created=content.created, top=top)
        files.write_bytes(folder.report_pdf, drawn)


def gather_content(experiment: Experiment, folder: RunFolder, *, results: RunFolder | None = None) -> ReportContent:
    """Read a run folder into what the page shows; predictions and numbers may be those of another folder."""
    results = results or folder
    images = experiment.data.images
    manifest = Manifest.read(folder.manifest, images=images.parent if is_array_file(images) else images)
    predictions = read_predictions(results.predictions)
    evaluation = Evaluation.from_dict(files.read_json(results.metrics))
    command, started, environment = read_document(
        results.environment, lambda found: (found["command"], found["started"], found)
    )
    pictures = Pictures(
        manifest,
        experiment,
        read_intensity(folder),
        read_stain(experiment, folder),
        explanations=results.root / "explanations",
    )
    return ReportContent(
        title=results.root.resolve().name,
        question=experiment.question or _question(evaluation.classes),
        command=command,
        created=started.replace("T", " ").replace("+00:00", " UTC"),
        data=summarise_data(experiment.data, manifest, folder),
        samples=_samples(manifest, evaluation.classes, pictures),
        split=_split(experiment, folder),
        characteristics=describe_sides(manifest, predictions),
        plan=read_choices(folder),
        training=summarise_training(experiment, folder),
        evaluation=evaluation,
        predictions=predictions,
        mistakes=mistakes_of(predictions, evaluation, pictures),
        settings=plain_values(experiment.model_dump(mode="json")),
        environment=plain_values(environment),
        limits=_limits(experiment, folder),
        sections=read_sections(results.root),
    )


def describe_sides(manifest: Manifest, predictions: Predictions) -> Table | None:
    """Return what the images of each side are like; None where nothing is known of them."""
    return characteristics_table(
        characteristics_of(manifest.table),
        record_ids=predictions.record_ids,
        cases=predictions.cases,
        sides=predictions.sides,
    )


def _question(classes: Sequence[str]) -> str:
    return f"Which class does an image show: {', '.join(classes[:-1])} or {classes[-1]}?"


def summarise_data(data: DataSettings, manifest: Manifest, folder: RunFolder) -> DataSummary:
    """Return what the report says of the images of a folder's manifest, whose findings lie beside it."""
    kept = manifest.kept
    kinds = kept.group_by("format", "mode", "bit_depth").len().sort("len", descending=True)
    return DataSummary(
        images=str(data.images),
        labels=str(data.labels) if data.labels else label_source(data.images),
        num_found=len(manifest.table),
        num_cases_found=manifest.table["case"].n_unique(),
        num_kept=len(kept),
        num_cases_kept=kept["case"].n_unique(),
        num_cases_assumed=int(kept["case_assumed"].fill_null(value=False).sum()),
        kinds={f"{format_}, {mode}, {depth} bit": number for format_, mode, depth, number in kinds.iter_rows()},
        sizes_px={
            side: kept.filter(pl.col("split") == side).select("width_px", "height_px").to_numpy().astype(np.int64)
            for side in SIDES
        },
        exclusions=exclusions_of(manifest),
        findings=read_findings(folder),
    )


def label_source(images: Location) -> str:
    """Return where labels come from, where no table gives them."""
    return "the array file" if is_array_file(images) else "folder names"


def exclusions_of(manifest: Manifest) -> tuple[Exclusion, ...]:
    """Return each reason for exclusions with its counts and examples, the most frequent first."""
    groups = manifest.excluded.sort("record_id").group_by("reason", maintain_order=True)
    exclusions = [
        Exclusion(
            reason=str(reason[0]),
            num_images=len(rows),
            num_cases=rows["case"].drop_nulls().n_unique(),
            examples=tuple(rows["detail"].drop_nulls().head(_EXAMPLES_A_REASON)),
        )
        for reason, rows in groups
    ]
    return tuple(sorted(exclusions, key=lambda exclusion: -exclusion.num_images))


def _samples(manifest: Manifest, classes: Sequence[str], pictures: Pictures) -> Mapping[str, tuple[Sample, ...]]:
    """Choose some training images of each class, each from another case where there are enough."""
    training = manifest.kept.filter(pl.col("split") == "train")
    chosen = {}
    for name in classes:
        of_class = training.filter(pl.col("label") == name)
        order = generator_for(0, "samples", name).permutation(len(of_class))
        some = of_class[order.tolist()].unique("case", maintain_order=True).head(_SAMPLES_A_CLASS)
        chosen[name] = tuple(
            Sample(picture=pictures.of(record_id), caption=f"{record_id}, {width} x {height} px")
            for record_id, width, height in some.select("record_id", "width_px", "height_px").iter_rows()
        )
    return chosen


def _split(experiment: Experiment, folder: RunFolder) -> SplitSummary:
    source, leaks = read_document(folder.checks, lambda found: (found["source"], found["leaks"]))
    audit = read_audit(folder)
    sides = tuple(
        SideCounts(
            side=side,
            num_images=audit.num_images[side],
            num_cases=audit.num_cases[side],
            images_per_class={name: counts[side] for name, counts in audit.images_per_class.items()},
            cases_per_class={name: counts[side] for name, counts in audit.cases_per_class.items()},
        )
        for side in SIDES
    )
    return SplitSummary(
        method=_split_method(experiment, source),
        sides=sides,
        checks=_checks(experiment, leaks, audit),
    )


def _split_method(experiment: Experiment, source: str) -> str:
    split = experiment.split
    reduced = f" Of the training cases, {split.train_share:.3g} are used (split.train_share), the rest are excluded."
    method = {
        "given": "The sides were given with the data.",
        "cases": "The cases of each side were listed in the settings.",
        "fractions": (
            f"Cases were dealt to the sides with seed {split.seed}, classes in proportion: {split.test_fraction:.0%} "
            f"for the test, {split.validation_fraction:.0%} for validation, the rest for training."
        ),
    }[source]
    return method if split.train_share == 1 else method + reduced


def _checks(experiment: Experiment, leaks: Sequence[str], audit: Audit) -> tuple[Check, ...]:
    checks = [Check(what="No case is on two sides", outcome="passed", detail=f"{sum(audit.num_cases.values())} cases")]
    what = "No identical file and no identical pixels are on two sides"
    if not leaks:
        return (*checks, Check(what=what, outcome="passed"))
    shown = "; ".join(leaks[:_EXAMPLES_A_REASON]) + ("; …" if len(leaks) > _EXAMPLES_A_REASON else "")
    pairs = counted(len(leaks), "pair")
    if experiment.split.leaks == "allow":
        detail = f"{pairs} on two sides, left there by split.leaks = 'allow': {shown}"
        return (*checks, Check(what=what, outcome="failed", detail=detail))
    detail = f"{pairs}; the training copy was dropped (of validation and test, the former's): {shown}"
    return (*checks, Check(what=what, outcome="handled", detail=detail))


def summarise_training(experiment: Experiment, folder: RunFolder) -> TrainingSummary:
    """Return how the model of a run learned."""
    epochs = history.read_history(folder.history)
    chosen, rule = kept_epoch(experiment, epochs, folder)
    origin, learns = read_document(folder.weights, lambda found: (found["origin"], found["learns"]))
    padding: dict[Side, float] = read_document(
        folder.padding, lambda found: {side: float(found[side]) for side in SIDES}
    )
    return TrainingSummary(
        model=f"{experiment.model.backbone}, weights: {origin}; {_HEADS[experiment.model.head.kind]}; {learns}",
        history=tuple(_shown(epoch) for epoch in epochs),
        chosen_epoch=chosen,
        chosen_by=rule,
        padded_share=padding,
    )


def _shown(epoch: history.Epoch) -> Epoch:
    names = [field.name for field in dataclasses.fields(Epoch)]
    return Epoch(**{name: getattr(epoch, name) for name in names})


def mistakes_of(predictions: Predictions, evaluation: Evaluation, pictures: Pictures) -> tuple[Mistake, ...]:
    """Return the wrongly decided images of the reported side whose truth was thought least probable."""
    side = reported_sides(evaluation)[0].side
    place = {name: column for column, name in enumerate(predictions.classes)}
    decisions = decide(predictions.probabilities, classes=predictions.classes, threshold=evaluation.threshold)
    wrong = [
        (float(predictions.probabilities[row, place[truth]]), row, truth)
        for row, truth in enumerate(predictions.truth)
        if truth is not None and predictions.sides[row] == side and decisions[row] != place[truth]
    ]
    return tuple(
        Mistake(
            picture=pictures.of(predictions.record_ids[row]),
            overlay=pictures.overlay_of(predictions.record_ids[row]),
            record_id=predictions.record_ids[row],
            case=predictions.cases[row],
            truth=truth,
            decision=predictions.classes[decisions[row]],
            probability_of_truth=probability,
        )
        for probability, row, truth in _worst(sorted(wrong), evaluation.positive_class)
    )


def _worst(wrong: list[_Wrong], positive_class: str | None) -> list[_Wrong]:
    """Return the worst: with two classes of each kind of mistake, so that neither hides the other."""
    if positive_class is None:
        return wrong[:_MISTAKES]
    missed = [one for one in wrong if one[2] == positive_class]
    alarms = [one for one in wrong if one[2] != positive_class]
    return sorted([*missed[:_MISTAKES_OF_A_KIND], *alarms[:_MISTAKES_OF_A_KIND]])


def plain_values(values: Mapping[str, Any]) -> dict[str, str]:
    """Return nested values as texts under dotted names."""
    return {key: "not set" if value is None else str(value) for key, value in flatten(values).items()}


def _limits(experiment: Experiment, folder: RunFolder) -> tuple[str, ...]:
    caution: str | None = read_document(folder.weights, lambda found: found["caution"])
    limits = [] if caution is None else [f"{caution[0].upper()}{caution[1:]}."]
    return (*limits, *training_limits(experiment.training, folder))
