"""What "auto" in ``device.precision`` and ``device.memory_format`` means for a run: measured once, when it begins.

In: an experiment and its run. Out: the device's settings with a precision that computes. A run that goes on later, on a
machine that is busier or another one, goes on in the precision that it began with.
"""

from collections.abc import Callable

from radpath import files
from radpath.data.batches import ImageSource
from radpath.errors import DataError
from radpath.models.classifier import Classifier
from radpath.recipes.experiment import Experiment
from radpath.recipes.running import read_document
from radpath.recipes.telling import say
from radpath.run_folder import RunFolder
from radpath.training.device import DeviceSettings, is_settled, settled
from radpath.training.precision_probe import MeasuredPrecision, choose_precision


def measured_device(
    experiment: Experiment, build: Callable[[], Classifier], images: Callable[[Classifier], ImageSource]
) -> DeviceSettings:
    """Return the device's settings, with what was measured now in the place of "auto".

    Args:
        experiment: of what is about to run.
        build: returns its network.
        images: returns its training images, as this network takes them.

    Raises:
        DeviceError: the device is not there, or its memory is too small.
    """
    found = measure_open(experiment, build, images)
    if found is None:
        return experiment.device
    return settled(experiment.device, precision=found.precision, memory_format=found.memory_format)


def measure_open(
    experiment: Experiment, build: Callable[[], Classifier], images: Callable[[Classifier], ImageSource]
) -> MeasuredPrecision | None:
    """Measure what the device's settings leave open, and tell it; None where they leave nothing open.

    The arguments and errors are those of ``measured_device``.
    """
    return None if is_settled(experiment.device) else _measure(experiment, build, images)


def _measure(
    experiment: Experiment, build: Callable[[], Classifier], images: Callable[[Classifier], ImageSource]
) -> MeasuredPrecision:
    training = experiment.training
    found = choose_precision(experiment.device, build, images, num_thawed=training.num_thawed(training.epochs))
    say(found.sentence())
    return found


def begin_precision(
    experiment: Experiment,
    folder: RunFolder,
    build: Callable[[], Classifier],
    images: Callable[[Classifier], ImageSource],
) -> Experiment:
    """Return the experiment with nothing left open: in the place of "auto" what is written down, or measured now.

    What is measured is written to the run folder before anything is learned.

    Raises:
        DataError: the run's file is damaged.
        DeviceError: the device is not there, or its memory is too small.
    """
    if is_settled(experiment.device):
        return experiment
    if not folder.precision.is_file():
        files.write_json(folder.precision, _measure(experiment, build, images).to_dict())
    return with_precision_of_run(experiment, folder)


def with_precision_of_run(experiment: Experiment, folder: RunFolder) -> Experiment:
    """Return the experiment with the precision that its run began with, where a setting is "auto".

    Raises:
        DataError: nothing is written down in the run folder, or the file is damaged.
    """
    if is_settled(experiment.device):
        return experiment
    if not folder.precision.is_file():
        raise DataError(
            f"{folder.precision} is missing, which says what 'auto' in device.precision or device.memory_format means "
            "for this run; restore it, or set both to what environment.json names"
        )
    device = read_document(
        folder.precision,
        lambda found: settled(experiment.device, precision=found["precision"], memory_format=found["memory_format"]),
    )
    return experiment.model_copy(update={"device": device})
