"""What a report says of a run besides its results: its data, its split, its training, its settings.

In: the files of a run folder. Out: ``RunFacts`` and the parts of it. Results are added by ``report``, or by
``label_report`` where an image has several labels.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from radpath.data.array_file import is_array_file
from radpath.data.findings import counted
from radpath.data.inputs import DataSettings
from radpath.data.label_sets import one_row_a_class
from radpath.data.leaks import Audit
from radpath.data.location import Location
from radpath.data.manifest import Manifest
from radpath.evaluation.label_predictions import LabelPredictions
from radpath.evaluation.predictions import Predictions
from radpath.models.heads import HeadKind
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
from radpath.recipes.training_summary import kept_epoch, training_limits
from radpath.records import SIDES, Side
from radpath.reporting.blocks import Table
from radpath.reporting.characteristics_table import characteristics_table
from radpath.reporting.content import (
    Check,
    DataSummary,
    Epoch,
    Exclusion,
    RunFacts,
    Sample,
    SideCounts,
    SplitSummary,
    TrainingSummary,
)
from radpath.run_folder import RunFolder
from radpath.seeding import generator_for
from radpath.settings import flatten
from radpath.training import history

_SAMPLES_A_CLASS: Final = 6
_EXAMPLES_A_REASON: Final = 5
_HEADS: Final[dict[HeadKind, str]] = {
    "linear": "a linear head",
    "nonlinear": "a head with a hidden layer",
    "conv": "a convolutional head",
    "conv_skip": "a convolutional head with a skip",
}


def read_manifest(experiment: Experiment, folder: RunFolder) -> Manifest:
    """Read the manifest of a run."""
    images = experiment.data.images
    return Manifest.read(folder.manifest, images=images.parent if is_array_file(images) else images)


def pictures_of(experiment: Experiment, folder: RunFolder, manifest: Manifest, *, results: RunFolder) -> Pictures:
    """Return the run's images as its network sees them, with the maps beside its results."""
    return Pictures(
        manifest,
        experiment,
        read_intensity(folder),
        read_stain(experiment, folder),
        explanations=results.root / "explanations",
    )


def gather_facts(
    experiment: Experiment,
    folder: RunFolder,
    manifest: Manifest,
    predictions: Predictions | LabelPredictions,
    *,
    classes: Sequence[str],
    question: str,
    pictures: Pictures,
    results: RunFolder,
) -> RunFacts:
    """Read a run folder into everything that the page shows besides results.

    Args:
        experiment: the settings of the run.
        folder: the run.
        manifest: of the run.
        predictions: whose images and sides are described.
        classes: the classes, or the labels, of which sample images are shown.
        question: what the model is asked, where the experiment does not say it.
        pictures: the run's images.
        results: the folder that is reported, which is the run unless several were joined.

    Raises:
        DataError: a file of the run is missing or damaged.
    """
    command, started, environment = read_document(
        results.environment, lambda found: (found["command"], found["started"], found)
    )
    return RunFacts(
        title=results.root.resolve().name,
        question=experiment.question or question,
        command=command,
        created=started.replace("T", " ").replace("+00:00", " UTC"),
        data=summarise_data(experiment.data, manifest, folder),
        samples=_samples(manifest, classes, pictures),
        split=_split(experiment, folder),
        characteristics=describe_sides(manifest, predictions),
        plan=read_choices(folder),
        training=summarise_training(experiment, folder),
        # As written: what the run made of "auto" is in environment.json, and a report made again must not differ.
        settings=plain_values(read_experiment(folder.experiment, []).model_dump(mode="json")),
        environment=plain_values(environment),
        limits=_limits(experiment, folder),
    )


def describe_sides(manifest: Manifest, predictions: Predictions | LabelPredictions) -> Table | None:
    """Return what the images of each side are like; None where nothing is known of them."""
    return characteristics_table(
        characteristics_of(manifest.table),
        record_ids=predictions.record_ids,
        cases=predictions.cases,
        sides=predictions.sides,
    )


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
    training = one_row_a_class(manifest.kept.filter(pl.col("split") == "train"))
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


def plain_values(values: Mapping[str, Any]) -> dict[str, str]:
    """Return nested values as texts under dotted names."""
    return {key: "not set" if value is None else str(value) for key, value in flatten(values).items()}


def _limits(experiment: Experiment, folder: RunFolder) -> tuple[str, ...]:
    caution: str | None = read_document(folder.weights, lambda found: found["caution"])
    limits = [] if caution is None else [f"{caution[0].upper()}{caution[1:]}."]
    return (*limits, *training_limits(experiment.training, folder))
