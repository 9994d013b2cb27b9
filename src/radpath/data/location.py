"""Where images lie: a path of this machine, or an address (URL) that fsspec opens, through the same few methods.

In: what a user wrote, ``images/``, ``s3://bucket/images`` or ``ssh://host/images``. Out: a ``Location``, which can be
joined, listed, opened and read. What is listed and read of it belongs to ``listing`` and ``headers``. How to log in is
left to the configuration of fsspec and of each provider: no password ever stands in a location.
"""

import contextlib
import dataclasses
import functools
import io
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final, final
from urllib.parse import urlsplit

from radpath import files
from radpath.errors import DataError, MissingExtraError, SettingsError

BLOCK_BYTES: Final = 1 << 15
"""How much of a remote file is fetched at once while only its header is read."""

_CONNECTIONS: Final = 32
_SSH: Final = ("ssh", "sftp")
_SSH_CONNECTIONS: Final = 8
"""OpenSSH refuses new connections at random while ten are logging in (its setting MaxStartups)."""

# What fsspec's file systems call the version of a file, the most telling first; most know one or two of them.
_VERSION_KEYS: Final = ("ETag", "etag", "md5Hash", "content_md5", "version", "LastModified", "last_modified", "mtime")
_CREATION_KEYS: Final = ("updated", "modified", "created")
# paramiko tells each refused connection with a traceback; it is tried again, and what fails for good is an OSError.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # one letter before the colon is a drive of Windows
_SIGNED: Final = re.compile(r"[?&](sig|signature|x-amz-[a-z-]+|token|awsaccesskeyid|sv|key)=", re.IGNORECASE)


@final
@dataclasses.dataclass(frozen=True, order=True)
class RemotePath:
    """An address that fsspec opens; a small part of ``pathlib.Path``'s interface, with the same meaning."""

    url: str
    """With its protocol and two slashes, without a slash at the end, and without a password."""

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, below: str) -> "RemotePath":
        return RemotePath(f"{self.url}/{below}")

    @property
    def _inside(self) -> PurePosixPath:
        return PurePosixPath(self.url.partition("://")[2])

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self._inside.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self._inside.stem

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot on."""
        return self._inside.suffix

    @property
    def parent(self) -> "RemotePath":
        """The folder around it; a bucket is its own."""
        protocol, _, inside = self.url.partition("://")
        return RemotePath(f"{protocol}://{inside.rpartition('/')[0] or inside}")

    def absolute(self) -> "RemotePath":
        """Return the same address, which always is absolute."""
        return self

    def resolve(self) -> "RemotePath":
        """Return the same address, since links cannot be seen from here."""
        return self

    def as_posix(self) -> str:
        """Return the address."""
        return self.url

    def is_dir(self) -> bool:
        """Return whether it is a folder.

        Raises:
            OSError: the provider does not answer, or refuses.
        """
        with provider_errors():
            return bool(self.filesystem.isdir(self.key))

    def is_file(self) -> bool:
        """Return whether it is a file.

        Raises:
            OSError: the provider does not answer, or refuses.
        """
        with provider_errors():
            return bool(self.filesystem.isfile(self.key))

    def read_range(self, start: int, num_bytes: int) -> bytes:
        """Return up to ``num_bytes`` bytes, fewer at the end of the file.

        Raises:
            OSError: the file is not there, or the provider does not deliver it.
        """
        with provider_errors():
            return bytes(self.filesystem.cat_file(self.key, start=start, end=start + num_bytes))

    def read_bytes(self) -> bytes:
        """Return the whole content.

        Raises:
            OSError: as ``read_range``.
        """
        with provider_errors():
            return bytes(self.filesystem.cat_file(self.key))

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return the whole content as text.

        Raises:
            OSError: as ``read_range``.
            UnicodeDecodeError: it is not text in this encoding.
        """
        return self.read_bytes().decode(encoding)

    def identity(self) -> tuple[int, int, int]:
        """Return the size in bytes and two numbers of the version that the provider tells, which a change changes.

        Raises:
            OSError: as ``read_range``.
        """
        with provider_errors():
            found = self.filesystem.info(self.key)
        # Where the provider tells no version, only the content itself says whether it changed.
        digest = files.content_digest(version_of(found).encode() or self.read_bytes())
        return int(found["size"] or 0), int(digest[:15], 16), int(digest[15:30], 16)

    def open(self, _mode: str = "rb") -> io.BufferedReader:
        """Open the file for reading; a block is fetched where one is needed.

        Raises:
            OSError: as ``read_range``.
        """
        with provider_errors():
            num_bytes = int(self.filesystem.info(self.key)["size"])
        return io.BufferedReader(_Ranges(self, num_bytes), BLOCK_BYTES)

    @property
    def most_connections(self) -> int:
        """How many threads may use it at once: each has a connection of its own, of which an SSH server takes few."""
        return _SSH_CONNECTIONS if self.url.partition("://")[0].lower() in _SSH else _CONNECTIONS

    @property
    def filesystem(self) -> Any:  # noqa: ANN401 - fsspec's types are not declared
        """What fsspec opens this protocol with."""
        return _open_filesystem(self.url)[0]

    @property
    def key(self) -> str:
        """The address as its file system writes it, without the protocol."""
        return _open_filesystem(self.url)[1]


Location = Path | RemotePath


def parse_location(text: str | Path | RemotePath) -> Location:
    """Return the place that a user names.

    Raises:
        SettingsError: the address holds a password or a signature, which would end up in files that are shared.

    >>> str(parse_location("s3://bucket/images/"))
    's3://bucket/images'
    >>> parse_location("images/a") == Path("images/a")
    True
    """
    if isinstance(text, Path | RemotePath):
        return text
    if not _URL.match(text):
        return Path(text)
    parts = urlsplit(text)
    if parts.password is not None or _SIGNED.search(text):
        raise SettingsError(
            f"the address {parts.scheme}://{parts.hostname or ''}... holds a password, a key or a signature, which "
            "would be written into the run; leave it out, and configure it for fsspec or by the provider's variables"
        )
    if parts.scheme.lower() == "file":
        return Path(parts.path)
    return RemotePath(text.rstrip("/"))


def version_of(description: Mapping[str, Any]) -> str:
    """Return what changes whenever a remote file is written, from what its provider says of it; "" where nothing does.

    >>> version_of({"name": "a.png", "size": 9, "ETag": "d41d8"})
    'd41d8'
    """
    return " ".join(str(description[key]) for key in (*_VERSION_KEYS, *_CREATION_KEYS) if description.get(key))


@contextlib.contextmanager
def local_file(location: Location) -> Iterator[Path]:
    """Yield a file of this machine with the content of ``location``: itself, or a copy that goes away with the block.

    Raises:
        OSError: the file is not there, or cannot be read.
    """
    if isinstance(location, Path):
        yield location
        return
    with tempfile.TemporaryDirectory(prefix="radpath-") as folder:
        copy = Path(folder) / location.name
        copy.write_bytes(location.read_bytes())
        yield copy


@contextlib.contextmanager
def provider_errors() -> Iterator[None]:
    """Turn what providers' packages raise on their own into an ``OSError``."""
    try:
        yield
    except _foreign_errors() as error:
        raise OSError(" ".join(str(error).split())) from None


def _foreign_errors() -> tuple[type[Exception], ...]:
    """Return the bases of errors that fsspec lets through, of the packages that are in use."""
    bases = {"botocore.exceptions": "BotoCoreError", "aiohttp": "ClientError", "paramiko": "SSHException"}
    modules = {name: sys.modules[name] for name in bases if name in sys.modules}
    return tuple(getattr(module, bases[name]) for name, module in modules.items())


def _open_filesystem(url: str) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the address in its words."""
    protocol, _, inside = url.partition("://")
    host = f"{protocol}://{inside.partition('/')[0]}"
    filesystem = _shared_filesystem(host) or _filesystem_at(host)
    return filesystem, str(filesystem._strip_protocol(url))  # noqa: SLF001 - fsspec documents it, and has no other


@functools.cache
def _shared_filesystem(host: str) -> Any | None:  # noqa: ANN401 - fsspec's types are not declared
    """Return what opens a host or bucket, where all threads may use the same; it takes a while to make.

    Those that fsspec calls asynchronous work in a thread of their own. Others, such as that of SSH, mix up the answers
    to two threads; of them fsspec keeps one for each thread.
    """
    filesystem = _filesystem_at(host)
    return filesystem if filesystem.async_impl else None


def _filesystem_at(host: str) -> Any:  # noqa: ANN401 - fsspec's types are not declared
    """Return what fsspec opens the addresses of a host or bucket with; this thread's own."""
    protocol = host.partition("://")[0]
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError(
            f"{protocol}:// needs fsspec, which is missing: pip install 'radpath[remote]'"
        ) from None
    try:
        return fsspec.core.url_to_fs(host)[0]
    except ImportError as error:
        raise MissingExtraError(f"{protocol}:// needs a package that is missing: {error}") from None
    except ValueError as error:
        raise DataError(f"{host} cannot be opened: {error}") from None


class _Ranges(io.RawIOBase):
    """A remote file as a stream that fetches what is read of it."""

    def __init__(self, path: RemotePath, num_bytes: int) -> None:
        self._path, self._num_bytes, self._at = path, num_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._num_bytes}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, target: Any) -> int:  # noqa: ANN401 - whatever holds bytes
        wanted = min(len(target), self._num_bytes - self._at)
        if wanted <= 0:
            return 0
        found = self._path.read_range(self._at, wanted)
        target[: len(found)] = found
        self._at += len(found)
        return len(found)
