"""Modes and owners of files and folders, without touching what is in them."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import owner_ids
from payload.errors import StepError


@dataclass(frozen=True, slots=True)
class Rights:
    """What `path` is to have. Below `top` no link is followed: others than root may write there."""

    path: Path
    top: Path
    mode: int
    user: str
    group: str


@dataclass(frozen=True, slots=True)
class RightsSeen:
    """What one had."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class RightsBefore:
    """Undo data, in the order of the step's files."""

    files: tuple[RightsSeen, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class SetRights(Step[RightsBefore]):
    """Set mode and owner; undo sets them back."""

    kind: ClassVar[str] = "rights"
    undo_type: ClassVar[type[Any]] = RightsBefore
    files: tuple[Rights, ...]

    @override
    def describe(self) -> str:
        return f"set mode and owner of {', '.join(str(file.path) for file in self.files)}"

    @override
    def undone(self) -> str:
        return "set mode and owner back"

    @override
    def prepare(self, host: Host) -> RightsBefore:
        return RightsBefore(tuple(_seen(file) for file in self.files))

    @override
    def apply(self, host: Host, undo: RightsBefore) -> None:
        for file in self.files:
            _set(file, RightsSeen(file.mode, owner_ids(file.user)[0], _group_id(file.group)))

    @override
    def undo(self, undo: RightsBefore, host: Host) -> None:
        for file, before in zip(self.files, undo.files, strict=True):
            if _seen(file) != before:  # undoing must not fail where nothing can be written, and nothing was
                _set(file, before)


def _seen(file: Rights) -> RightsSeen:
    with _opened(file) as fd:
        info = os.fstat(fd)
        return RightsSeen(stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def _set(file: Rights, wanted: RightsSeen) -> None:
    with _opened(file) as fd:
        os.fchown(fd, wanted.uid, wanted.gid)
        os.fchmod(fd, wanted.mode)  # last: a change of the owner takes bits away
        os.fsync(fd)


@contextmanager
def _opened(file: Rights) -> Iterator[int]:
    """The file itself, reached from `top` without following a link."""
    fd = os.open(file.top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in file.path.relative_to(file.top).parts:
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise StepError("group-unknown", f"there is no group {group}") from error
