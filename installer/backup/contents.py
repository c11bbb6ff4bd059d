"""What an archive says of itself: the list that is signed. Strict, since archives come from anywhere."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from installer.state import AnswerValue
from payload.digest import Digest
from payload.document import Document
from payload.fields import Name
from payload.version import Version

CONTENTS_NAME, SIGNATURE_NAME = "contents.json", "signature.json"
Top = Literal["config", "data", "shipped", "database"]
"""The folders that an archive has: configuration, data, the configuration as it was rendered at the install, and a copy
of a database in PostgreSQL, which a restore leaves in the archive: see ADR 65."""
_LONGEST_PART = 255
_LONGEST_PATH = 4000


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if value != str(path) or path.is_absolute() or value == "." or ".." in path.parts or "\0" in value:
        raise ValueError(f"{value!r} does not lie inside the archive")
    if any(len(part.encode()) > _LONGEST_PART for part in path.parts) or len(value.encode()) > _LONGEST_PATH:
        raise ValueError("a path is longer than any file system takes")
    return value


Inside = Annotated[str, StringConstraints(min_length=1), AfterValidator(_inside)]
Owner = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_.$@-]{0,63}$")]
"""A name, or a number where nobody had one."""


class Item(Document):
    """A file (with `digest`), a link (with `target`) or a folder, below `top`."""

    top: Top
    path: Inside
    mode: Annotated[int, Field(ge=0, le=0o7777)]
    user: Owner
    group: Owner
    size: Annotated[int, Field(ge=0)] = 0
    digest: Digest | None = None
    target: Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_PATH)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Item:
        if self.digest is not None and self.target is not None:
            raise ValueError(f"{self.path} is a file and a link")
        if self.digest is None and self.size:
            raise ValueError(f"{self.path} has a size and no content")
        if "\0" in (self.target or ""):
            raise ValueError(f"{self.path} points at no path")
        return self

    @property
    def is_folder(self) -> bool:
        """Neither a file nor a link."""
        return self.digest is None and self.target is None

    @property
    def name(self) -> str:
        """Where the archive has it."""
        return f"{self.top}/{self.path}"


class Contents(Document):
    """`contents.json`: whose archive this is, what a restore has to know besides, and every item, folders first."""

    format: Literal[1] = 1
    product: Name
    version: Version
    release: Digest
    """See `payload.index.release_digest`."""
    prefix: str
    """Where the product lies, as its host sees it."""
    host: Annotated[str, StringConstraints(max_length=255)]
    created: Annotated[int, Field(ge=0)]
    answers: dict[str, AnswerValue]
    config: dict[Inside, Digest]
    """Of each configuration file as it was rendered, by its path below the configuration folder."""
    items: tuple[Item, ...]

    @model_validator(mode="after")
    def _is_a_tree(self) -> Contents:
        """Each path once, and each below folders that come before it: nothing is ever reached through a link."""
        folders: set[str] = set()
        seen: set[str] = set()
        for item in self.items:
            parent = str(PurePosixPath(item.name).parent)
            if item.name in seen or (parent != item.top and parent not in folders):
                raise ValueError(f"{item.name} is listed twice, or below something that is no folder")
            seen.add(item.name)
            if item.is_folder:
                folders.add(item.name)
        return self

    @property
    def files(self) -> tuple[Item, ...]:
        """The items that have a content, in the archive's order."""
        return tuple(item for item in self.items if item.digest is not None)

    @property
    def size(self) -> int:
        """Bytes of all contents."""
        return sum(item.size for item in self.items)

    def to_bytes(self) -> bytes:
        """The file's content."""
        return self.model_dump_json(by_alias=True, indent=1).encode() + b"\n"
