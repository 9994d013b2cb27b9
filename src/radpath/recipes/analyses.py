"""What predictions say beyond the metrics: each analysis has a file of its own, and a section of the report.

In: predictions, their evaluation, and what is known of each image. Out: ``analyses/NAME.json``, and from these files
alone the sections, so that a report is rebuilt without computing anything again. To add an analysis: a module in
``evaluation`` with a frozen dataclass of plain values and the function that makes it; a module in ``reporting`` that
makes a ``Section`` of it; an entry of ``ANALYSES``. One that needs the model is written by its own recipe, by
``write_analysis``, and is here with ``assess=None``.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import TypeAdapter, ValidationError

from radpath import files
from radpath.errors import DataError
from radpath.evaluation.abstention import Abstention, assess_abstention
from radpath.evaluation.calibration import Calibration, assess_calibration
from radpath.evaluation.conformal import Conformal, assess_conformal
from radpath.evaluation.decision_curve import DecisionCurve, assess_decision_curve
from radpath.evaluation.drift import Drift
from radpath.evaluation.estimates import Evaluation
from radpath.evaluation.evaluate import EvaluationSettings
from radpath.evaluation.explanations import Explanations
from radpath.evaluation.operating_points import OperatingPoints, assess_operating_points
from radpath.evaluation.predictions import Predictions
from radpath.evaluation.robustness import Robustness
from radpath.evaluation.subgroups import Subgroups, assess_subgroups
from radpath.recipes.frozen import Frozen, freeze
from radpath.reporting.abstention_section import abstention_section
from radpath.reporting.blocks import Section
from radpath.reporting.calibration_section import calibration_section
from radpath.reporting.conformal_section import conformal_section
from radpath.reporting.decision_curve_section import decision_curve_section
from radpath.reporting.drift_section import drift_section
from radpath.reporting.explanation_section import explanation_section, picture_names
from radpath.reporting.operating_points_section import operating_points_section
from radpath.reporting.robustness_section import robustness_section
from radpath.reporting.subgroups_section import subgroups_section


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """What every analysis is made from."""

    predictions: Predictions
    evaluation: Evaluation
    settings: EvaluationSettings
    characteristics: pl.DataFrame | None
    """What is known of the images beside truth and case (size, scanner, site, age, ...): column ``record_id`` and one
    column each, one row an image of ``predictions`` in any order; None where nothing is."""
    frozen: Frozen | None = None
    """What an earlier run fixed on its validation side, to use unchanged; None: it is fitted on that of these."""
    moved_by: str | None = None
    """What in the training moved the probabilities, in sentences; None for nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Analysis:
    """One more question to predictions."""

    name: str
    """Of its file and, in the report, of its section."""
    result: type
    """A frozen dataclass of plain values: numbers, texts, None, and tuples, mappings and dataclasses of these."""
    assess: Callable[[Judged], Any] | None
    """Makes the result; returns None where the question does not arise. None itself for one that needs the model."""
    section: Callable[..., Section]
    """Makes the section of a result; it takes the pictures too, by name, where there are any."""
    pictures: Callable[[Any], tuple[str, ...]] | None = None
    """Names the pictures that the section of a result shows, by their paths below the run."""


def _subgroups(judged: Judged) -> Subgroups | None:
    return assess_subgroups(judged.predictions, judged.evaluation, judged.characteristics, judged.settings.subgroups)


def _operating_points(judged: Judged) -> OperatingPoints | None:
    frozen = None if judged.frozen is None else judged.frozen.points
    return assess_operating_points(
        judged.predictions, judged.evaluation, judged.settings.operating_points, frozen=frozen
    )


def _calibration(judged: Judged) -> Calibration:
    frozen = None if judged.frozen is None else judged.frozen.calibrator or judged.frozen.no_calibrator
    return assess_calibration(
        judged.predictions, judged.evaluation, judged.settings.calibration, moved_by=judged.moved_by, frozen=frozen
    )


def _conformal(judged: Judged) -> Conformal:
    frozen = None if judged.frozen is None else judged.frozen.sets or judged.frozen.no_sets
    return assess_conformal(judged.predictions, judged.evaluation, judged.settings.conformal, frozen=frozen)


def _decision_curve(judged: Judged) -> DecisionCurve | None:
    frozen = judged.frozen or freeze(judged.predictions, judged.evaluation, judged.settings)
    return assess_decision_curve(
        judged.predictions, judged.evaluation, judged.settings.decision_curve, calibrator=frozen.calibrator
    )


EXPLANATION: Final = Analysis(
    name="explanation", result=Explanations, assess=None, section=explanation_section, pictures=picture_names
)
DRIFT: Final = Analysis(name="drift", result=Drift, assess=None, section=drift_section)
ROBUSTNESS: Final = Analysis(name="robustness", result=Robustness, assess=None, section=robustness_section)

ANALYSES: Final[tuple[Analysis, ...]] = (
    Analysis(
        name="operating_points", result=OperatingPoints, assess=_operating_points, section=operating_points_section
    ),
    Analysis(name="calibration", result=Calibration, assess=_calibration, section=calibration_section),
    Analysis(name="conformal", result=Conformal, assess=_conformal, section=conformal_section),
    Analysis(
        name="abstention",
        result=Abstention,
        assess=lambda judged: assess_abstention(judged.predictions, judged.evaluation),
        section=abstention_section,
    ),
    Analysis(name="decision_curve", result=DecisionCurve, assess=_decision_curve, section=decision_curve_section),
    Analysis(name="subgroups", result=Subgroups, assess=_subgroups, section=subgroups_section),
    DRIFT,
    ROBUSTNESS,
    EXPLANATION,
)


def analyse(judged: Judged, root: Path) -> None:
    """Make every analysis that needs predictions alone, and write them below ``root``."""
    for analysis in ANALYSES:
        if analysis.assess is None:
            continue
        result = analysis.assess(judged)
        if result is None:
            _file(root, analysis).unlink(missing_ok=True)
        else:
            write_analysis(analysis, result, root)


def write_analysis(analysis: Analysis, result: object, root: Path) -> None:
    """Write the result of one analysis."""
    adapter: TypeAdapter[Any] = TypeAdapter(analysis.result)
    files.write_json(_file(root, analysis), adapter.dump_python(result, mode="json"))


def read_analysis(analysis: Analysis, root: Path) -> Any:  # noqa: ANN401 - its type is told by the analysis
    """Read the result of one analysis; None where it was not made.

    Raises:
        DataError: the file is not what radpath wrote.
    """
    path = _file(root, analysis)
    if not path.is_file():
        return None
    try:
        return TypeAdapter(analysis.result).validate_python(files.read_json(path))
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise DataError(f"{path} is not what radpath wrote ({place}: {wrong['msg']}); evaluate the run again") from None


def forget_analysis(analysis: Analysis, root: Path) -> None:
    """Delete the result of one analysis."""
    _file(root, analysis).unlink(missing_ok=True)


def read_sections(root: Path) -> tuple[Section, ...]:
    """Return the sections of the analyses that lie below ``root``, in the order of ``ANALYSES``."""
    results = ((analysis, read_analysis(analysis, root)) for analysis in ANALYSES)
    return tuple(_section_of(analysis, result, root) for analysis, result in results if result is not None)


def _section_of(analysis: Analysis, result: object, root: Path) -> Section:
    """Return a section; pictures that are not there any more are left out."""
    if analysis.pictures is None:
        return analysis.section(result)
    names = analysis.pictures(result)
    return analysis.section(result, {name: (root / name).read_bytes() for name in names if (root / name).is_file()})


def _file(root: Path, analysis: Analysis) -> Path:
    return root / "analyses" / f"{analysis.name}.json"
