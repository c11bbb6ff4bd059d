"""The lock, `bundle.lock`: the exact artifacts that a build puts in. Frozen pydantic models, as the manifest is."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from payload.digest import Digest
from payload.document import Document
from payload.fields import LibcVersion, Name, RelativePath
from payload.version import Version


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
    """The portable CPython of `[runtime]`, a .tar.gz with the one folder `payload.model.PYTHON_FOLDER`.
    `libc`: the oldest glibc that it starts on."""

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
