"""What is inside a bundle: the index, the signed table of contents. `payload.index` reads and writes these values.

Everybody who opens a bundle needs these, so they take no time to import: see docs/adr/0073.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from payload.digest import DIGEST, Digest
from payload.errors import IntegrityError
from payload.names import NAME
from payload.strict import record, rows, table
from payload.trust import Keyring
from payload.version import Version, parse_version

if TYPE_CHECKING:
    from payload.document import Document
    from payload.lock import Lock
    from payload.manifest import Manifest

    D = TypeVar("D", bound=Document)

FORMAT_VERSION = 1
PYTHON_ARCHIVE = "tools/python.tar.gz"
"""Where a release has the portable Python: an archive with the one folder `PYTHON_FOLDER`."""
PYTHON_FOLDER = "python"
PROVENANCE_PATH = "provenance.intoto.json"
"""Where a release has the statement of how it was built."""
SBOM_PATH = "sbom.cdx.json"
"""Where a release has its bill of materials."""
OLDEST_GLIBC = "2.2"
"""The first glibc of x86_64: what needs it needs nothing in particular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the file that is no member: stub, runtime, or a text."""

    offset: int
    size: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """How a piece of a member's content is stored: as it is, or as one zstd frame."""

    size: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A member's bytes. `digest` and `size` are of the content; the chunks, each `payload.format.CHUNK_SIZE` bytes of
    content but for the last, lie one behind the other from `offset` on and together have `stored_size` bytes."""

    digest: Digest
    size: int
    codec: Literal["raw", "zstd"]
    offset: int
    stored_size: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file: where it goes under the release folder, and whose bytes it has."""

    component: str
    """`server`, `agents/NAME`, `images/NAME`, `repository`, `templates`, `tools`, `python`, `lock`, `sbom`,
    `provenance`."""
    path: str
    mode: int
    blob: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A release that an upgrade bundle can be installed over."""

    version: Version
    release: Digest
    """See `payload.index.release_digest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file of a base, and what makes the wanted content from it: nothing, or the patch in the member `patch`."""

    path: str
    patch: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """A content that an upgrade bundle does not hold. `sources` has one for each base, in their order. Or there are
    none, and `header` says what stands for it: an installed package, whose header has this SHA-256."""

    digest: Digest
    size: int
    sources: tuple[Source, ...] = ()
    header: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Which release of which product it is."""

    name: str
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What a statement says about the lock: its manifest's digest, and the rows of its tables."""

    manifest: Digest
    rpms: tuple[object, ...]
    wheels: tuple[object, ...]
    images: tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Index:
    """The signed table of contents.

    Manifest and lock are in it as JSON. Whoever asks for them gets them as pydantic models, checked at that moment;
    who only reads the file never loads those.
    """

    format: int = FORMAT_VERSION
    created: int
    """Seconds since the epoch, from SOURCE_DATE_EPOCH or the manifest's time: part of the input, not of the build."""
    keyring: Keyring
    """Whose signatures count from this bundle on: what a host pins at its first install."""
    manifest_table: Mapping[str, Any] = field(metadata={"key": "manifest"})
    lock_table: Mapping[str, Any] = field(metadata={"key": "lock"})
    stub: Section
    runtime: Section
    libc: str = OLDEST_GLIBC
    """The oldest glibc on which the runtime starts, measured over all its programs."""
    help: Section
    info: Section
    listing: Section
    blobs: tuple[Blob, ...]
    entries: tuple[Entry, ...]
    bases: tuple[Base, ...] = ()
    """Of an upgrade bundle: any one of these must be installed."""
    borrowed: tuple[Borrowed, ...] = ()

    @cached_property
    def product(self) -> Identity:
        """Raises: MalformedError."""
        return _read_identity(self.manifest_table.get("product"))

    @cached_property
    def locked(self) -> Locked:
        """Raises: MalformedError."""
        return _read_locked(self.lock_table)

    @cached_property
    def manifest(self) -> Manifest:
        """What the product is.

        Raises:
            IntegrityError: it is malformed.
        """
        from payload.manifest import Manifest  # noqa: PLC0415 - see above

        return _checked(Manifest, "manifest", self.manifest_table)

    @cached_property
    def lock(self) -> Lock:
        """The exact artifacts.

        Raises:
            IntegrityError: it is malformed.
        """
        from payload.lock import Lock  # noqa: PLC0415 - see above

        return _checked(Lock, "lock", self.lock_table)

    @property
    def left_to_host(self) -> dict[Digest, Borrowed]:
        """The packages that are not in the file because its one host has them installed, by their digest."""
        return {each.digest: each for each in self.borrowed if each.header is not None}

    @property
    def content_sizes(self) -> dict[Digest, int]:
        """The size of every content, inside the file or not, by its digest."""
        sizes = {blob.digest: blob.size for blob in self.blobs}
        return sizes | {each.digest: each.size for each in self.borrowed}


_read_identity = record(Identity, others=True, name=NAME, version=parse_version)
_read_locked = record(Locked, others=True, manifest=DIGEST, rpms=rows(table), wheels=rows(table), images=rows(table))


def _checked(kind: type[D], name: str, value: Mapping[str, Any]) -> D:
    try:
        return kind.model_validate(value)
    except ValueError as error:
        raise index_damaged(f"{name}: {error}") from error


def index_damaged(why: str) -> IntegrityError:
    """The error about an index that is not as it was written."""
    return IntegrityError(
        "bundle-damaged",
        "the bundle's index is damaged",
        details=f"index: {why}",
        remedy="copy or download the file again",
    )
