"""The site plan: what one host has, written there and carried to the vendor, who builds the smallest upgrade for it.

It is not signed and nothing is trusted because of it: a plan that lies gives a bundle that its host refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from payload.digest import Digest
from payload.document import Document
from payload.fields import AnswerName, Name, RelativePath, Sha256
from payload.version import Version

MAX_SIZE = 64 << 20
"""Bytes of a plan; a reader looks at no more."""
_MAX_FILES, _MAX_PACKAGES, _MAX_RELEASES, _MAX_ANSWERS = 200_000, 50_000, 1000, 1000

Nevra = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s:/]{1,200}-[0-9]{1,10}:[^\s:/-]{1,100}-[^\s:/-]{1,100}\.[A-Za-z0-9_]{1,20}$"),
]
"""`name-epoch:version-release.arch`."""
_Text = Annotated[str, StringConstraints(max_length=1 << 16)]


class HeldFile(Document):
    """A file of the installed release that is there and is what was signed."""

    path: RelativePath
    digest: Digest


class HeldPackage(Document):
    """A package that the host has. `header` is the SHA-256 of its header, which covers its content; None where the
    host's rpm does not know it."""

    nevra: Nevra
    header: Sha256 | None = None


class SitePlan(Document):
    """All that an upgrade bundle for one host has to know. Holds no secret."""

    format: Literal[1] = 1
    product: Name
    version: Version
    release: Digest
    """See `payload.index.release_digest`."""
    releases: Annotated[tuple[Version, ...], Field(max_length=_MAX_RELEASES)]
    """All that lie on the host."""
    running: bool
    """Whether a unit of the product runs."""
    answers: Annotated[dict[AnswerName, bool | int | _Text], Field(max_length=_MAX_ANSWERS)]
    """Those that are no secrets."""
    files: Annotated[tuple[HeldFile, ...], Field(max_length=_MAX_FILES)]
    packages: Annotated[tuple[HeldPackage, ...], Field(max_length=_MAX_PACKAGES)]

    @field_validator("files")
    @classmethod
    def _files_once(cls, files: tuple[HeldFile, ...]) -> tuple[HeldFile, ...]:
        _check_once(file.path for file in files)
        return files

    @field_validator("packages")
    @classmethod
    def _packages_once(cls, packages: tuple[HeldPackage, ...]) -> tuple[HeldPackage, ...]:
        _check_once(each.nevra for each in packages)
        return packages

    @property
    def installed(self) -> frozenset[tuple[str, str]]:
        """The packages by name and header, where that is known."""
        return frozenset((each.nevra, each.header) for each in self.packages if each.header is not None)


def _check_once(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name} is listed twice")
        seen.add(name)
