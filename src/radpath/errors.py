"""Every error that a user can cause or meet, each with its own exit code.

A message is one line that says what was found, where, and what to do. The command line prints it as it is, without
a traceback; anything that is not a ``RadpathError`` is a defect of radpath.
"""


class RadpathError(Exception):
    """Base of all errors that radpath raises on purpose."""

    exit_code = 1


class SettingsError(RadpathError):
    """A setting or an argument is unknown, has the wrong type, or contradicts another."""

    exit_code = 2


class DataError(RadpathError):
    """Images, labels or tables are missing, unreadable or do not fit together."""

    exit_code = 3


class LeakError(DataError):
    """A case or an identical image stands on two sides of a split."""

    exit_code = 4


class StaleError(RadpathError):
    """Something changed since an earlier step of the same run used it."""

    exit_code = 5


class DeviceError(RadpathError):
    """The requested device, precision or memory is not there."""

    exit_code = 6


class StorageError(RadpathError):
    """A file cannot be written: the disk is full, or the folder is read-only or in use."""

    exit_code = 7


class WeightsError(RadpathError):
    """Weights are missing, do not match their checksum, or do not fit the model."""

    exit_code = 8


class MissingExtraError(RadpathError):
    """An optional part of radpath is needed and not installed; the message names the extra."""

    exit_code = 9


class TrainingError(RadpathError):
    """Training cannot go on, or a network cannot learn a handful of images."""

    exit_code = 10


class RunInterruptedError(RadpathError):
    """Interrupted; finished work is kept."""

    exit_code = 130  # the shells' convention for a program that was stopped with Ctrl-C


def first_line(error: BaseException) -> str:
    r"""Return the beginning of a message that other programmers wrote, or the error's name where it has none.

    >>> first_line(ValueError("not a number\nTraceback")), first_line(KeyError())
    ('not a number', 'KeyError')
    """
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def exit_codes() -> dict[int, str]:
    """Return each exit code with the sentence that documents it.

    >>> exit_codes()[3]
    'Images, labels or tables are missing, unreadable or do not fit together.'
    """
    kinds = [
        RadpathError,
        SettingsError,
        DataError,
        LeakError,
        StaleError,
        DeviceError,
        StorageError,
        WeightsError,
        MissingExtraError,
        TrainingError,
        RunInterruptedError,
    ]
    sentences = {kind.exit_code: (kind.__doc__ or "").splitlines()[0] for kind in kinds}
    sentences[RadpathError.exit_code] = "A defect in radpath: please report it with the traceback."
    return {0: "Success.", **sentences}
