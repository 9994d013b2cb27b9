import io
import struct

import pytest
import tifffile

from radpath.data.formats.tiff_directory import directory_offsets, exif_orientation, open_tiff, read_directory
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


def directory(*entries: bytes, next_page: int = 0) -> bytes:
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + struct.pack("<I", next_page)


WIDTH = struct.pack("<HHII", 256, 3, 1, 7)


def pages_of(content: bytes) -> list[tifffile.TiffPage]:
    file = open_tiff(io.BytesIO(content))
    return [read_directory(file, index, offset) for index, offset in enumerate(directory_offsets(file))]


def test_the_chain_of_directories_is_followed_to_its_end() -> None:
    assert [page.imagewidth for page in pages_of(directory(WIDTH))] == [7]
    first = directory(WIDTH, next_page=len(directory(WIDTH)))
    second = struct.pack("<H", 1) + struct.pack("<HHII", 256, 3, 1, 9) + bytes(4)
    assert [(page.index, page.imagewidth) for page in pages_of(first + second)] == [(0, 7), (1, 9)]


def test_a_chain_that_leads_outside_the_file_or_back_is_refused() -> None:
    with pytest.raises(DataError, match=r"^truncated or damaged: the TIFF cannot be read \("):
        pages_of(directory(WIDTH, next_page=2**31))
    with pytest.raises(DataError, match=r"^truncated or damaged: the directories of the TIFF form a circle$"):
        pages_of(directory(WIDTH, next_page=8))


def test_an_unreadable_tag_that_nobody_needs_is_no_fault() -> None:
    (page,) = pages_of(directory(WIDTH, struct.pack("<HHII", 65100, 99, 1, 7)))
    assert list(page.tags.keys()) == [256]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"II*\0\x08\0\0\0\xff\xff", r"the TIFF cannot be read \(suspicious number of tags 65535\)"),
        (b"II*\0\x08\0\0\0\x01\0", r"the TIFF cannot be read \(.*\)"),
        (directory(WIDTH)[:-4], r"the TIFF cannot be read \(.*\)"),
        (b"II*\0\xff\0\0\0\x01\0", "the first TIFF directory lies outside the file"),
        (b"II+\0\x04\0\0\0" + bytes(20), r"the TIFF cannot be read \(.*\)"),
        (
            directory(struct.pack("<HHII", 258, 3, 3, 999)),
            "TIFF tag 258 is of an unknown type or lies outside the file",
        ),
        (directory(struct.pack("<HHII", 258, 99, 1, 8)), "TIFF tag 258 is of an unknown type or lies outside the file"),
    ],
)
def test_a_broken_directory_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"^truncated or damaged: {message}$"):
        pages_of(content)
