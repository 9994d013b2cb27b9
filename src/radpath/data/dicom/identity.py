"""The patient becomes a case whose name tells nothing: a keyed hash, whose key stays outside of every run folder.

In: the elements of a file and the settings. Out: the name of the case. Without the key nobody can compute a name from a
patient's ID, not even by trying all IDs; with the same key, the same patient has the same name in every run.
"""

import contextlib
import functools
import hashlib
import hmac
import os
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from radpath import files
from radpath.data.dicom.parsing import text
from radpath.data.dicom.settings import DicomSettings
from radpath.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

KEY_VARIABLE: Final = "RADPATH_CASE_KEY_FILE"
STUDY_PREFIX: Final = "study-"
"""Begins the name of a case that stands for a study, since nothing identifies the patient."""

_PATIENT_PREFIX: Final = "patient-"
_KEY_BYTES: Final = 32
_NAME_DIGITS: Final = 20  # 80 bits: two of two million patients meet with a chance of one in 10^11
# What anonymisers write for everybody: taken for an ID, it would make one case of all patients.
_NOBODY: Final = re.compile(
    r"(?:anon(?:y|ym|ymous|ymi[sz]ed)?|unknown|none|null|na|n/a|removed|deidentified|test|x+|0+)?"
)


def case_of(dataset: "Dataset", key: bytes) -> str | None:
    """Return the name of the case that a file belongs to; None where it names neither a patient nor a study.

    The patient is known by ID and its issuer. Where the ID is empty or says "anonymous", the study has to do.
    """
    patient = text(dataset, "PatientID")
    if not _NOBODY.fullmatch(re.sub(r"[\s_-]", "", patient.lower())):
        return case_name(patient, key, issuer=text(dataset, "IssuerOfPatientID"))
    study = text(dataset, "StudyInstanceUID")
    return STUDY_PREFIX + _digest(["study", study], key) if study else None


def is_dicom_case(text: str) -> bool:
    """Return whether a text is a name that ``case_of`` gives.

    >>> is_dicom_case("patient-0123456789abcdef0123"), is_dicom_case("patient-7")
    (True, False)
    """
    return re.fullmatch(rf"(?:{_PATIENT_PREFIX}|{STUDY_PREFIX})[0-9a-f]{{{_NAME_DIGITS}}}", text) is not None


def key_fingerprint(settings: DicomSettings) -> str:
    """Return what tells one key from another without telling the key; "" where there is none yet."""
    return _digest(["fingerprint"], read_key(settings)) if key_file(settings).exists() else ""


def case_name(patient_id: str, key: bytes, *, issuer: str = "") -> str:
    """Return the name of a patient's case: HMAC-SHA256 of ID and issuer, 80 bits of it.

    >>> case_name("4711", b"a key of sixteen") == case_name("4711", b"another sixteen.")
    False
    """
    return _PATIENT_PREFIX + _digest(["patient", patient_id, issuer], key)


def _digest(parts: list[str], key: bytes) -> str:
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()[:_NAME_DIGITS]


def key_file(settings: DicomSettings) -> Path:
    """Return where the key is: by the setting, else by the variable, else in the user's configuration folder."""
    named = os.environ.get(KEY_VARIABLE)
    return settings.key_file or (Path(named) if named else _configuration_folder() / "case.key")


def read_key(settings: DicomSettings) -> bytes:
    """Return the key, which is made where there is none yet, readable by its owner alone.

    Raises:
        DataError: the file cannot be read, or holds no key.
        StorageError: a new one cannot be written.
    """
    return _read_key(key_file(settings))


@functools.lru_cache(maxsize=8)
def _read_key(path: Path) -> bytes:
    if not path.exists():
        _make_key(path)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise DataError(f"the key file {path} cannot be read: {error.strerror}; see data.dicom.key_file") from None
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise DataError(
            f"{path} holds no key of {2 * _KEY_BYTES} hexadecimal digits; name another with data.dicom.key_file"
        )
    return key


def _make_key(path: Path) -> None:
    """Write a new key, whole or not at all; where another process was faster, its key stays."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with files.explained_storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as written:  # noqa: PTH123 - a descriptor, made with its mode
                written.write(secrets.token_hex(_KEY_BYTES) + "\n")
                written.flush()
                os.fsync(written.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(unfinished, path)  # unlike a rename, it never replaces
        finally:
            unfinished.unlink(missing_ok=True)


def _configuration_folder() -> Path:
    """Return radpath's folder where this system keeps a user's settings."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "radpath"
