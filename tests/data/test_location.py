"""Places on this machine and addresses elsewhere, through the same few methods."""

import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from radpath.data import location
from radpath.data.location import RemotePath, local_file, parse_location, provider_errors
from radpath.errors import DataError, MissingExtraError, SettingsError


@pytest.fixture
def stored() -> RemotePath:
    """A file of 100,000 bytes in fsspec's file system in memory."""
    fsspec.filesystem("memory").pipe_file("/ward/scan.bin", bytes(range(250)) * 400)
    return RemotePath("memory://ward/scan.bin")


@pytest.mark.parametrize("text", ["images", "../a/b.npz", "C:/images", "c:\\images"])
def test_a_path_stays_a_path(text: str) -> None:
    assert parse_location(text) == Path(text)


def test_an_address_keeps_its_two_slashes_and_loses_the_one_at_its_end() -> None:
    assert str(parse_location("s3://bucket/a/b.tar/")) == "s3://bucket/a/b.tar"
    assert parse_location("file:///data/images") == Path("/data/images")
    assert str(parse_location("ssh://reader@host/images")) == "ssh://reader@host/images"


@pytest.mark.parametrize(
    "text",
    [
        "ssh://reader:secret@host/images",
        "https://host/images?X-Amz-Signature=secret",
        "https://host/images?sp=r&sig=secret",
        "https://host/images?token=secret",
    ],
)
def test_what_would_give_a_password_away_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SettingsError, match=r"holds a password, a key or a signature") as caught:
        parse_location(text)
    assert "secret" not in str(caught.value)


def test_the_parts_of_an_address_are_those_of_a_path() -> None:
    address = RemotePath("s3://bucket/scans") / "a.b/1.tar.gz"
    assert (address.name, address.stem, address.suffix) == ("1.tar.gz", "1.tar", ".gz")
    assert str(address.parent) == "s3://bucket/scans/a.b"
    assert str(RemotePath("s3://bucket").parent) == "s3://bucket"
    assert address.absolute() == address.resolve() == address
    assert address.as_posix() == str(address)


def test_a_folder_and_a_file_are_told_apart(stored: RemotePath) -> None:
    assert (stored.is_file(), stored.is_dir()) == (True, False)
    assert (stored.parent.is_file(), stored.parent.is_dir()) == (False, True)


@settings(max_examples=30, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(0, 101_000), st.integers(0, 70_000)), max_size=5))
def test_a_remote_stream_reads_like_a_file(moves: list[tuple[int, int]]) -> None:
    content = bytes(range(250)) * 400
    fsspec.filesystem("memory").pipe_file("/ward/moves.bin", content)
    expected = io.BytesIO(content)
    with RemotePath("memory://ward/moves.bin").open() as stream:
        for at, num_bytes in moves:
            assert stream.seek(at) == expected.seek(at)
            assert stream.read(num_bytes) == expected.read(num_bytes)
        assert stream.seek(-3, io.SEEK_END) == len(content) - 3
        assert stream.seek(1, io.SEEK_CUR) == len(content) - 2
        assert stream.read() == content[-2:]


def test_a_local_copy_has_the_name_and_content_and_goes_away(stored: RemotePath, tmp_path: Path) -> None:
    with local_file(stored) as copy:
        assert (copy.name, copy.read_bytes()) == ("scan.bin", stored.read_bytes())
    assert not copy.exists()
    with local_file(tmp_path / "own") as own:
        assert own == tmp_path / "own"


def test_text_is_read_in_its_encoding() -> None:
    fsspec.filesystem("memory").pipe_file("/ward/note.txt", "größer".encode("latin-1"))
    assert RemotePath("memory://ward/note.txt").read_text("latin-1") == "größer"


def test_what_is_not_there_is_the_operating_systems_error() -> None:
    with pytest.raises(FileNotFoundError):
        RemotePath("memory://ward/absent.bin").open()


def test_what_a_providers_package_raises_on_its_own_is_an_operating_systems_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NoCredentialsError(Exception):
        pass

    monkeypatch.setitem(sys.modules, "botocore.exceptions", SimpleNamespace(BotoCoreError=NoCredentialsError))
    with pytest.raises(OSError, match=r"^Unable to locate credentials$"), provider_errors():
        raise NoCredentialsError("Unable to\nlocate credentials")


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(DataError, match=r"^nosuch://host cannot be opened: Protocol not known: nosuch$"):
        RemotePath("nosuch://host/a").is_dir()


def test_a_protocol_without_its_package_says_what_to_install() -> None:
    missing = {"class": "radpath_has_no_such_module.FileSystem", "err": "Install wardfs to access wards"}
    fsspec.register_implementation("ward", missing["class"], errtxt=missing["err"])
    with pytest.raises(MissingExtraError, match=r"^ward:// needs a package that is missing: Install wardfs to access"):
        RemotePath("ward://host/a").is_dir()


def test_a_file_without_a_version_is_recognised_by_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    place = RemotePath("memory://ward/plain.bin")
    monkeypatch.setattr(location, "version_of", lambda _: "")
    identities = []
    for content in (b"one", b"two", b"one"):
        place.filesystem.pipe_file(place.key, content)
        identities.append(place.identity())
    assert identities[0] == identities[2] != identities[1]


class OneAtATime(MemoryFileSystem):  # type: ignore[misc] # fsspec does not declare its types
    """Like paramiko's: an instance serves the thread that made it."""

    protocol = "onebyone"
    cachable = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.owner = threading.get_ident()


class ForAll(OneAtATime):
    """Like s3fs: works in a thread of its own, whoever asks."""

    protocol = "forall"
    async_impl = True


@pytest.mark.parametrize(("kind", "num_instances"), [(OneAtATime, 4), (ForAll, 1)])
def test_threads_share_what_can_be_shared_and_nothing_else(kind: type[OneAtATime], num_instances: int) -> None:
    fsspec.register_implementation(kind.protocol, kind, clobber=True)
    together = threading.Barrier(4)

    def look(number: int) -> tuple[int, bool]:
        together.wait()
        one, other = (RemotePath(f"{kind.protocol}://ward/{number}-{name}.png").filesystem for name in "ab")
        together.wait()
        return id(one), one is other and one.owner == threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, range(4)))
    assert len({instance for instance, _ in found}) == num_instances
    if kind is OneAtATime:
        assert all(is_own for _, is_own in found)


def test_an_ssh_server_is_not_asked_for_many_connections_at_once() -> None:
    assert RemotePath("ssh://host/images").most_connections < 10  # OpenSSH's MaxStartups
    assert RemotePath("s3://bucket/images").most_connections > 10
