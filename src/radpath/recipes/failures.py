"""A training that failed tells why, on one screen.

In: ``failure.json`` of a run. Out: the causes with what was measured for or against each, the last steps, the stages
and the batch at fault, as lines for people.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from radpath.errors import TrainingError
from radpath.recipes.running import read_document
from radpath.recipes.telling import say, say_rows
from radpath.run_folder import RunFolder
from radpath.training.diagnosis import step_rows
from radpath.training.watch import Step

_STEPS_SHOWN: Final = 6
_IDS_SHOWN: Final = 5


@contextlib.contextmanager
def told_failures(folder: RunFolder) -> Iterator[None]:
    """Tell what ``failure.json`` says, where the training in the block is spoilt."""
    try:
        yield
    except TrainingError:
        if folder.failure.is_file():
            read_document(folder.failure, say_failure)
        raise


def say_failure(failure: Mapping[str, Any]) -> None:
    """Print one screen.

    Args:
        failure: as ``Failure.to_dict`` gave it.
    """
    evidence = failure["evidence"]
    batch = evidence["batch"]
    say("")
    say(f"The training is spoilt: {evidence['problem']}")
    say_rows("Causes", [(cause["standing"], cause["name"], cause["because"]) for cause in failure["causes"]])
    steps = tuple(Step(**{**step, **_numbers(step)}) for step in evidence["steps"][-_STEPS_SHOWN:])
    say_rows("Last steps", step_rows(steps))
    say_rows("Largest numbers", [("", "weights", "as the run computes", "in 32 bits"), *_range_rows(evidence)])
    ids = batch["record_ids"]
    named = ", ".join(ids[:_IDS_SHOWN]) + (f", … ({len(ids)} in all)" if len(ids) > _IDS_SHOWN else "")
    labels = ", ".join(f"{count} {name}" for name, count in batch["labels"].items())
    levels = f"{float(batch['lowest']):.3g} to {float(batch['highest']):.3g}"
    lost = [(f"no numbers in {name}", str(count)) for name, count in batch["not_finite"].items()]
    odd = [("odd", one) for one in batch["odd"][:_IDS_SHOWN]]
    say_rows("Batch at fault", [("images", named), ("labels", labels), ("pixels", levels), *lost[:_IDS_SHOWN], *odd])
    say("")


def _numbers(step: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a step, of which those that are none stand as words in JSON."""
    return {name: float(step[name]) for name in ("loss", "gradient_norm", "learning_rate")}


def _range_rows(evidence: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    passes = [{one["where"]: one for one in evidence[name]["ranges"]} for name in ("passed", "passed_exactly")]
    for weights in evidence["weights"]:
        where = weights["where"]
        yield where, *(_range_text(one) for one in (weights, *(passed.get(where) for passed in passes)))


def _range_text(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    lost, largest = found["num_not_finite"], float(found["largest"])
    if lost and not largest:
        return f"none: {lost:,} are infinite or not numbers"
    return f"{largest:.3g}" + (f", and {lost:,} infinite or not numbers" if lost else "")
