"""Headers that lie, end early or explode; warnings and identities that must not come out."""

import io
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from radpath.data.dicom import parsing
from radpath.data.dicom.parsing import numbers, parse, quiet, text, whole_number
from radpath.errors import DataError, MissingExtraError

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)
Writer = Callable[..., io.BytesIO]


def test_the_pixels_are_found_and_not_read(dicom: Writer) -> None:
    file = dicom(PIXELS)
    parsed = parse(file)
    assert (parsed.pixel_tag, parsed.pixel_length) == (0x7FE00010, 24)
    assert file.getvalue()[parsed.pixel_offset :][:24] == PIXELS.tobytes()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_the_encoding_is_found_without_file_meta_information(dicom: Writer, syntax: str) -> None:
    order = ">" if syntax.endswith("2.2") else "<"
    whole = dicom(PIXELS.astype(f"{order}u2"), syntax=syntax).getvalue()
    (length,) = struct.unpack_from("<L", whole, 140)
    parsed = parse(io.BytesIO(whole[144 + length :]))
    assert parsed.transfer_syntax == syntax
    assert whole_number(parsed.dataset, "Columns") == 4


def test_a_deflated_file_is_inflated(dicom: Writer) -> None:
    parsed = parse(dicom(PIXELS, syntax="1.2.840.10008.1.2.1.99"))
    assert parsed.stream.seek(parsed.pixel_offset) == parsed.pixel_offset
    assert parsed.stream.read(24) == PIXELS.tobytes()


def test_a_deflated_file_cannot_explode(dicom: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_MAX_INFLATED_BYTES", 1000)
    with pytest.raises(DataError, match=r"^over the pixel limit: the deflated file holds more than 1 GiB"):
        parse(dicom(np.zeros((200, 200), np.uint8), syntax="1.2.840.10008.1.2.1.99"))


def test_a_damaged_deflated_file_is_refused(dicom: Writer) -> None:
    whole = dicom(PIXELS, syntax="1.2.840.10008.1.2.1.99").getvalue()
    (length,) = struct.unpack_from("<L", whole, 140)
    with pytest.raises(DataError, match=r"^truncated or damaged: inflating the file failed \(error\)"):
        parse(io.BytesIO(whole[: 144 + length] + b"\xff" * 50))
    with pytest.raises(DataError, match=r"^truncated or damaged: the file meta information"):
        parse(io.BytesIO(whole[:132] + b"\x02\x00\x10\x00" + whole[136:]))


def test_an_element_cannot_claim_all_memory(dicom: Writer) -> None:
    start = dicom(PatientID=None).getvalue()
    lie = b"\x28\x00\x06\x30OW\x00\x00" + struct.pack("<L", 0x7FFFFFFF)  # a lookup table of 2 GiB
    palette = b"\x28\x00\x01\x12OW\x00\x00" + struct.pack("<L", 0x7FFFFFFF)
    assert parse(io.BytesIO(start + lie)).pixel_tag is None  # nobody asked for it: skipped
    with pytest.raises(DataError, match=r"^truncated or damaged: an element declares more bytes"):
        parse(io.BytesIO(start + palette))


def test_sequences_nested_without_end_are_refused(dicom: Writer) -> None:
    nest = b"\x28\x00\x10\x30SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(DataError, match=r"^truncated or damaged: reading the header failed \(RecursionError\)"):
        parse(io.BytesIO(dicom().getvalue() + nest * sys.getrecursionlimit()))


@pytest.mark.parametrize("seed", range(40))
def test_bytes_changed_at_random_give_an_error_or_a_header_and_never_a_crash(dicom: Writer, seed: int) -> None:
    content = bytearray(dicom(PIXELS, PatientName="Doe^Jane", WindowCenter=[1, 2], WindowWidth=[3, 4]).getvalue())
    draw = np.random.default_rng(seed)
    for place in draw.integers(132, len(content), 6):
        content[place] = draw.integers(0, 256)
    said = ""
    try:
        parsed = parse(io.BytesIO(bytes(content[: draw.integers(132, len(content))])))
        numbers(parsed.dataset, "WindowCenter")
        text(parsed.dataset, "PatientID")
    except DataError as error:
        said = str(error)
    assert "Doe" not in said


def test_no_number_that_a_file_writes_comes_out_of_an_error(dicom: Writer) -> None:
    with quiet():
        file = io.BytesIO(dicom(PIXELS, WindowCenter=1, WindowWidth="12345").getvalue().replace(b"12345", b"JaneD"))
    with pytest.raises(DataError, match=r"^truncated or damaged: reading WindowWidth failed \(ValueError\)$") as caught:
        numbers(parse(file).dataset, "WindowWidth")
    assert caught.value.__suppress_context__


def test_values_are_read_as_they_are(dicom: Writer) -> None:
    dataset = parse(dicom(PIXELS, WindowCenter=[1.5, 2], WindowWidth=[3, 4], BodyPartExamined="")).dataset
    assert (numbers(dataset, "WindowCenter"), whole_number(dataset, "Rows")) == ([1.5, 2.0], 3)
    assert (numbers(dataset, "PixelSpacing"), text(dataset, "BodyPartExamined"), text(dataset, "ViewPosition")) == (
        [],
        "",
        "",
    )


def test_a_half_is_no_whole_number(dicom: Writer) -> None:
    with pytest.raises(DataError, match=r"^truncated or damaged: WindowCenter is no whole number"):
        whole_number(parse(dicom(PIXELS, WindowCenter=1.5, WindowWidth=3)).dataset, "WindowCenter")


def test_infinity_is_refused(dicom: Writer) -> None:
    file = io.BytesIO(dicom(PIXELS, WindowCenter=1, WindowWidth="12345").getvalue().replace(b"12345", b"1e999"))
    with pytest.raises(DataError, match=r"^truncated or damaged: WindowWidth is not finite"):
        numbers(parse(file).dataset, "WindowWidth")


READ_IN_THREADS = """
import io, sys, threading, warnings
from radpath.data.dicom.parsing import _SILENCE, parse, text

content = sys.stdin.buffer.read()

def read():
    for _ in range(50):
        assert text(parse(io.BytesIO(content)).dataset, "PatientID") == "P1"

threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert _SILENCE not in warnings.filters
"""


def test_warnings_are_silent_in_all_threads_and_loud_again_after(dicom: Writer) -> None:
    """In a process of its own: the check of types changes the filters of warnings in between."""
    odd = dicom(PIXELS, SpecificCharacterSet="ISO 2022 IR 6\\NONE").getvalue()
    program = [sys.executable, "-W", "error::UserWarning", "-c", READ_IN_THREADS]
    result = subprocess.run(program, input=odd, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_another_library_that_puts_an_old_list_back_does_not_make_it_loud() -> None:
    with quiet():
        cast("list[object]", warnings.filters).pop(0)
        with quiet():
            warnings.warn_explicit("loud", UserWarning, "charset.py", 1, module="pydicom.charset")
    with pytest.raises(UserWarning, match="loud"):
        warnings.warn_explicit("loud", UserWarning, "charset.py", 1, module="pydicom.charset")


def test_a_missing_library_is_named_with_its_extra(dicom: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    file = dicom(PIXELS)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingExtraError, match=r"^reading DICOM needs pydicom: pip install 'radpath\[dicom\]'$"):
        parse(file)
