import io
import struct

import pytest

from radpath.data.formats.tiff_directory import exif_orientation, read_directory
from radpath.errors import DataError


def block(order: str, orientation: int, *, type_number: int = 3) -> bytes:
    signature = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + "HH", orientation, 0) if type_number == 3 else struct.pack(order + "I", orientation)
    entry = struct.pack(order + "HHI", 274, type_number, 1) + value
    return signature + struct.pack(order + "IH", 8, 1) + entry


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("type_number", [3, 4])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_in_either_byte_order_and_without_the_last_field(
    order: str, type_number: int, orientation: int
) -> None:
    assert exif_orientation(b"Exif\0\0" + block(order, orientation, type_number=type_number)) == orientation


@pytest.mark.parametrize(
    "content",
    [b"", b"Exif\0\0", b"nonsense", block("<", 9), block("<", 0), block("<", 6)[:-6], block("<", 6, type_number=2)],
)
def test_an_unreadable_block_leaves_the_image_as_it_is(content: bytes) -> None:
    assert exif_orientation(content) == 1


def test_numbers_that_do_not_fit_their_entry_are_found_elsewhere() -> None:
    entry = struct.pack("<HHII", 258, 3, 3, 26)
    content = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4) + struct.pack("<3H", 8, 9, 10)
    directory = read_directory(io.BytesIO(content))
    assert directory.numbers(258) == (8, 9, 10)
    assert directory.number(258) == 8
    assert directory.number(259, default=1) == 1
    assert not directory.has_next


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"II*\0\x08\0\0\0\xff\xff", "the TIFF directory claims to have 65535 tags"),
        (b"II*\0\x08\0\0\0\x01\0", "the file ends too early"),
        (b"II*\0\xff\0\0\0\x01\0", "the first TIFF directory lies outside the file"),
        (b"II+\0\x04\0\0\0" + bytes(20), "the BigTIFF header is not one"),
    ],
)
def test_a_broken_directory_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"^truncated or damaged: {message}$"):
        read_directory(io.BytesIO(content))
