"""Comparing what lies on the host with what is wanted. Every content is read once, by all processors."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from installer.drift.model import Finding, Fix, Kind, Part, Wanted
from installer.owners import group_name, user_name
from payload.digest import Digest, digest_file
from payload.events import Advanced, Sink, stage
from payload.members import workers

_SHAPES = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "link": stat.S_ISLNK}
_STAGE = "compare"
_FIXES: dict[Part, Fix] = {"release": "bundle", "runtime": "bundle", "key": "backup"}
"""Of content; all else is made from the release."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file whose content is to be compared, and which content that is: hard links share one."""

    wanted: Wanted
    content: tuple[int, int]
    size: int


def compare(wanted: Sequence[Wanted], sink: Sink, what: str) -> tuple[Finding, ...]:
    """What of `wanted` differs, in its order. Changes nothing."""
    findings: list[Finding] = []
    files: list[_Seen] = []
    for each in wanted:
        found, seen = _look(each)
        findings += found
        files += seen
    contents = {file.content: file for file in files}
    total = sum(file.size for file in contents.values())
    with stage(sink, _STAGE, f"compare {len(wanted)} {what}", total=total), workers() as pool:
        digests = dict(zip(contents, pool.map(partial(_digest, sink), contents.values()), strict=True))
    findings += [found for file in files for found in _content(file.wanted, digests[file.content])]
    edited = {finding.subject for finding in findings if not finding.drift}  # whoever edits may choose a mode, too
    order = {str(each.path): n for n, each in enumerate(wanted)}
    kept = (finding for finding in findings if finding.kind == "edited" or finding.subject not in edited)
    return tuple(sorted(kept, key=lambda finding: order[finding.subject]))


def _look(wanted: Wanted) -> tuple[list[Finding], list[_Seen]]:
    try:
        info = wanted.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return [_finding(wanted, "missing", f"this {wanted.shape} is not there")], []
    if not _SHAPES[wanted.shape](info.st_mode):
        return [_finding(wanted, "changed", f"it is no {wanted.shape} any more")], []
    if wanted.shape == "link":
        target = str(wanted.path.readlink())
        wrong = f"it points at {target}, not at {wanted.target}"
        return [] if target == wanted.target else [_finding(wanted, "changed", wrong)], []
    seen = [] if wanted.digest is None else [_Seen(wanted, (info.st_dev, info.st_ino), info.st_size)]
    return list(_rights(wanted, info)), seen


def _rights(wanted: Wanted, info: os.stat_result) -> Iterator[Finding]:
    mode = stat.S_IMODE(info.st_mode)
    right = wanted.mode_for(mode)
    wanted = replace(wanted, mode=right)
    if right != mode:
        yield _finding(wanted, "mode", f"its mode is {mode:04o}, not {right:04o}", "host")
    owner = f"{user_name(info.st_uid)}:{group_name(info.st_gid)}"
    if owner != (right_owner := f"{wanted.user}:{wanted.group}"):
        yield _finding(wanted, "owner", f"it belongs to {owner}, not to {right_owner}", "host")


def _digest(sink: Sink, file: _Seen) -> Digest | OSError:
    """The digest of a content, or why it cannot be had: that is a finding, too."""
    try:
        return digest_file(file.wanted.path)
    except OSError as error:
        return error
    finally:
        sink.emit(Advanced(_STAGE, file.size))


def _content(wanted: Wanted, seen: Digest | OSError) -> Iterator[Finding]:
    if isinstance(seen, OSError):
        yield _finding(wanted, "changed", f"it cannot be read: {seen.strerror}")
    elif seen != wanted.digest and wanted.editable:
        yield _finding(wanted, "edited", "it has changes of your own, which stay", "none")
    elif seen != wanted.digest:
        yield _finding(wanted, "changed", "its content is not what the release has")


def _finding(wanted: Wanted, kind: Kind, text: str, fix: Fix | None = None) -> Finding:
    where = fix or wanted.fix or _FIXES.get(wanted.part, "host")
    return Finding(kind, wanted.part, str(wanted.path), text, where, wanted)
