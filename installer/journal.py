"""The journal of one run: JSON lines, appended and fsynced before and after every effect.

A line is `{"record": NAME, …}`. Only the last line can be torn (a crash while it was written); everything else that
does not read is damage and refused. Which records there are, and in which order, is the contract of `read_journal`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from installer.writing import must_write
from payload.digest import Digest
from payload.document import Document
from payload.effects import fsync_dir
from payload.errors import IntegrityError

JOURNAL_FORMAT = 1


class Begun(Document):
    """The run began: everything that recovery needs is here."""

    record: Literal["begun"] = "begun"
    format: int = JOURNAL_FORMAT
    run: str
    plan_digest: str
    plan: dict[str, Any]
    bundle: Digest | None = None
    """The bundle that the steps read from."""
    asked: Digest | None = None
    """What the operator asked for: the same command again goes on with the run."""


class Intended(Document):
    """Step `n` is about to act; `undo` is what undoing it needs."""

    record: Literal["intended"] = "intended"
    n: int
    undo: dict[str, Any]


class Applied(Document):
    """Step `n` is done."""

    record: Literal["applied"] = "applied"
    n: int


class Resumed(Document):
    """The run goes on after it was cut off: what was done from step `at` on is undone, and done again."""

    record: Literal["resumed"] = "resumed"
    at: int


class Committed(Document):
    """The plan is done. Nothing is undone after this."""

    record: Literal["committed"] = "committed"


class Closed(Document):
    """What was kept for undoing is gone."""

    record: Literal["closed"] = "closed"


class RollingBack(Document):
    """Undoing began; `why` says for what reason."""

    record: Literal["rolling-back"] = "rolling-back"
    why: str


class Undone(Document):
    """Step `n` is undone."""

    record: Literal["undone"] = "undone"
    n: int


class RolledBack(Document):
    """Every step is undone."""

    record: Literal["rolled-back"] = "rolled-back"


Record = Begun | Intended | Applied | Resumed | Committed | Closed | RollingBack | Undone | RolledBack
_TYPES: dict[str, type[Document]] = {
    "begun": Begun,
    "intended": Intended,
    "applied": Applied,
    "resumed": Resumed,
    "committed": Committed,
    "closed": Closed,
    "rolling-back": RollingBack,
    "undone": Undone,
    "rolled-back": RolledBack,
}
_ANY: TypeAdapter[Record] = TypeAdapter(Record)


@dataclass(frozen=True, slots=True)
class History:
    """A journal as read: `size` is the length of its whole lines in bytes."""

    records: tuple[Record, ...] = ()
    size: int = 0
    intended: dict[int, dict[str, Any]] = field(default_factory=dict)
    undone: frozenset[int] = frozenset()
    """Of the intended steps those that are undone, and were not begun again."""
    point: int = 0
    """The step that comes next if the run goes on. What stands of it, or after it, has to be undone before."""

    @property
    def begun(self) -> Begun | None:
        """The first record; None when the crash came before it was whole, so nothing had been done."""
        return self.records[0] if self.records and isinstance(self.records[0], Begun) else None

    def has(self, kind: type[Document]) -> bool:
        """Is there a record of `kind`?"""
        return any(isinstance(record, kind) for record in self.records)

    @property
    def finished(self) -> bool:
        """Nothing is left to do for this run."""
        return self.begun is None or self.has(Closed) or self.has(RolledBack)

    @property
    def to_undo(self) -> tuple[int, ...]:
        """Steps that may have acted and are not undone, last first."""
        return tuple(sorted(set(self.intended) - self.undone, reverse=True))


class Journal:
    """Appends records to a file; every record is durable when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Open `path` (made if needed) for appending; a torn last line is cut off first.

        Raises:
            IntegrityError: the file is damaged or newer than this program.
            PreflightError: it cannot be made or written.
        """
        self.path = path
        with must_write(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(self._fd, read_journal(path).size)
                os.fsync(self._fd)
                fsync_dir(path.parent)
            except BaseException:
                os.close(self._fd)
                raise

    def append(self, record: Record) -> None:
        """Write one record and wait until it is on the disk.

        Raises:
            OSError: it cannot be written (the disk is full); the journal ends with the record before.
        """
        line = json.dumps(record.model_dump(mode="json"), ensure_ascii=True, separators=(",", ":")) + "\n"
        content, size = line.encode(), os.fstat(self._fd).st_size
        try:
            while content:
                content = content[os.write(self._fd, content) :]
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, size)  # a later record must not stand behind half a line
            raise

    def history(self) -> History:
        """What was written so far."""
        return read_journal(self.path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read_journal(path: Path) -> History:
    """Read a journal.

    Raises:
        IntegrityError: a whole line does not read, the order of records is impossible, or the format is newer.
    """
    return parse_journal(path.read_bytes(), path)


def parse_journal(content: bytes, where: Path) -> History:
    """Read a journal's content; see `read_journal`. What follows the last newline is a torn line and left out."""
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.split(b"\n")[:-1]
    records = tuple(_record(line, number, where) for number, line in enumerate(lines, 1))
    _check_order(records, where)
    intended: dict[int, dict[str, Any]] = {}
    undone: set[int] = set()
    point = 0
    for record in records:
        match record:
            case Intended(n=n, undo=undo):
                intended[n], point = undo, n
                undone.discard(n)
            case Applied(n=n):
                point = n + 1
            case Resumed(at=at):
                point = at
            case Undone(n=n):
                undone.add(n)
            case _:
                pass
    return History(records, len(whole), intended, frozenset(undone), point)


def _record(line: bytes, number: int, where: Path) -> Record:
    try:
        body = json.loads(line)
        kind = body["record"]
        if kind == "begun" and isinstance(body.get("format"), int) and body["format"] > JOURNAL_FORMAT:
            raise IntegrityError(
                "journal-newer",
                f"{where} was written by a newer installer (format {body['format']}, this one knows {JOURNAL_FORMAT})",
                remedy="run the newer bundle again: it finishes or undoes its own run",
            )
        return _ANY.validate_python(_TYPES[kind].model_validate(body, strict=True))
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise _damaged(where, number, f"{type(error).__name__}: {error}") from error


def _check_order(records: tuple[Record, ...], where: Path) -> None:
    """Begun comes first and once; steps follow each other; nothing but `closed` follows a commit.

    A resumed run undoes what stands from its step on before it begins that step again.
    """
    step = 0
    seen: set[str] = set()
    standing: set[int] = set()
    pending = False
    for number, record in enumerate(records, 1):
        final = "rolled-back" in seen or "closed" in seen
        forward = not seen & {"committed", "rolling-back"}
        match record:
            case Begun():
                fits = number == 1
            case Intended(n=n):
                fits = forward and n == step and not pending and max(standing, default=-1) < n
                standing.add(n)
                pending = True
            case Applied(n=n):
                fits = forward and n == step and pending
                step, pending = step + 1, False
            case Resumed(at=at):
                fits = forward and 0 <= at <= step
                step, pending = at, False
            case Committed():
                fits = forward and not pending and max(standing, default=-1) < step
            case Closed():
                fits = "committed" in seen
            case RollingBack():
                fits = "committed" not in seen
            case Undone(n=n):
                fits = n in standing and ("rolling-back" in seen or (forward and not pending and n >= step))
                standing.discard(n)
            case RolledBack():
                fits = "rolling-back" in seen
        if not fits or final or isinstance(record, Begun) != (number == 1):
            raise _damaged(where, number, f"a record {record.record!r} cannot stand here")
        seen.add(record.record)


def _damaged(where: Path, number: int, why: str) -> IntegrityError:
    return IntegrityError(
        "journal-damaged",
        f"{where} is damaged in line {number}",
        details=why,
        remedy="do not delete it: it says what an unfinished run did. Ask the vendor, with this file at hand",
    )
