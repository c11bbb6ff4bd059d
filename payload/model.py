"""What the builder writes: the lock, with the exact artifacts, and the index, the signed table of contents.

Frozen pydantic models, as the manifest is; keys are kebab-case on disk.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from payload.digest import Digest
from payload.document import Document
from payload.fields import LibcVersion, Name, RelativePath, Sha256
from payload.manifest import Manifest
from payload.trust import Keyring
from payload.version import Version

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


# --- the lock: the exact artifacts ------------------------------------------------------------------------------------


class LockedRpm(Document):
    """An RPM of the closure; `location` is relative to its upstream's URL, `requested`: named in the manifest."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    upstream: Name
    location: RelativePath
    digest: Digest
    size: int
    requested: bool

    @property
    def nevra(self) -> str:
        """`name-epoch:version-release.arch`."""
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"

    @property
    def filename(self) -> str:
        """The file's name without folders."""
        return PurePosixPath(self.location).name


class LockedWheel(Document):
    """A wheel of one environment. `source`: from the package index by name, or built from a path."""

    environment: RelativePath
    """`server`, or `agents/NAME`."""
    name: str
    version: Version
    filename: RelativePath
    digest: Digest
    source: Literal["index", "path"]
    sources: Digest | None = None
    """For a path: the digest of the project's sources, by which a build sees that they changed after the lock."""


class LockedDocument(Document):
    """What upstreams say about the packages besides: updates, groups or modules, in a file beside the lock."""

    kind: Literal["updateinfo", "group", "modules"]
    digest: Digest


class LockedImage(Document):
    """An image with nothing left open."""

    name: Name
    digest: Digest
    size: int
    virtual_size: int


class LockedPython(Document):
    """The portable CPython of `[runtime]`, a .tar.gz with the one folder `PYTHON_FOLDER`. `libc`: the oldest glibc that
    it starts on."""

    version: Version
    libc: LibcVersion
    digest: Digest


class Lock(Document):
    """`bundle.lock`: what `build` puts in, to the byte."""

    format: Literal[1] = 1
    manifest: Digest
    """Digest of the manifest file that was locked."""
    revision: int = Field(default=1, ge=1)
    """Of the repository: that of the lock before if nothing in it changed, else a greater one."""
    rpms: tuple[LockedRpm, ...]
    documents: tuple[LockedDocument, ...] = ()
    wheels: tuple[LockedWheel, ...]
    pip: LockedWheel
    """The pip wheel that installs the others on the target."""
    images: tuple[LockedImage, ...]
    python: LockedPython | None = None


# --- the index: what is inside a bundle, signed -----------------------------------------------------------------------


class Section(Document):
    """A part of the file that is no member: stub, runtime, or a text."""

    offset: int = Field(ge=0)
    size: int = Field(ge=0)
    digest: Digest


class Chunk(Document):
    """How a piece of a member's content is stored: as it is, or as one zstd frame."""

    size: int = Field(ge=1)
    digest: Digest


class Blob(Document):
    """A member's bytes. `digest` and `size` are of the content; the chunks, each `payload.format.CHUNK_SIZE` bytes of
    content but for the last, lie one behind the other from `offset` on and together have `stored_size` bytes."""

    digest: Digest
    size: int = Field(ge=0)
    codec: Literal["raw", "zstd"]
    offset: int = Field(ge=0)
    stored_size: int = Field(ge=0)
    chunks: tuple[Chunk, ...]


class Entry(Document):
    """A file: where it goes under the release folder, and whose bytes it has."""

    component: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9/_.-]{0,99}$")]
    """`server`, `agents/NAME`, `images/NAME`, `repository`, `templates`, `tools`, `python`, `lock`, `sbom`,
    `provenance`."""
    path: RelativePath
    mode: Annotated[int, Field(ge=0, le=0o777)]
    blob: Digest


class Base(Document):
    """A release that an upgrade bundle can be installed over."""

    version: Version
    release: Digest
    """See `payload.index.release_digest`."""


class Source(Document):
    """A file of a base, and what makes the wanted content from it: nothing, or the patch in the member `patch`."""

    path: RelativePath
    patch: Digest | None = None


class Borrowed(Document):
    """A content that an upgrade bundle does not hold. `sources` has one for each base, in their order. Or there are
    none, and `header` says what stands for it: an installed package, whose header has this SHA-256."""

    digest: Digest
    size: int = Field(ge=0)
    sources: tuple[Source, ...] = ()
    header: Sha256 | None = None


class Index(Document):
    """The signed table of contents."""

    format: Literal[1] = 1
    created: int = Field(ge=0)
    """Seconds since the epoch, from SOURCE_DATE_EPOCH or the manifest's time: part of the input, not of the build."""
    keyring: Keyring
    """Whose signatures count from this bundle on: what a host pins at its first install."""
    manifest: Manifest
    lock: Lock
    stub: Section
    runtime: Section
    libc: LibcVersion = OLDEST_GLIBC
    """The oldest glibc on which the runtime starts, measured over all its programs."""
    help: Section
    info: Section
    listing: Section
    blobs: tuple[Blob, ...]
    entries: tuple[Entry, ...]
    bases: tuple[Base, ...] = ()
    """Of an upgrade bundle: any one of these must be installed."""
    borrowed: tuple[Borrowed, ...] = ()

    @property
    def left_to_host(self) -> dict[Digest, Borrowed]:
        """The packages that are not in the file because its one host has them installed, by their digest."""
        return {each.digest: each for each in self.borrowed if each.header is not None}

    @property
    def content_sizes(self) -> dict[Digest, int]:
        """The size of every content, inside the file or not, by its digest."""
        sizes = {blob.digest: blob.size for blob in self.blobs}
        return sizes | {each.digest: each.size for each in self.borrowed}
