"""What was made from which inputs, and what was checked: notes beside the store's files, so that nothing is done twice.

A note is found by the digest of its inputs. Whoever can write the store can write notes: both are the user's own.
"""

from __future__ import annotations

from pathlib import Path

from payload.digest import Digest, digest_bytes, hex_of
from payload.document import Document
from payload.effects import atomic_write
from payload.store import Store


class Made(Document):
    """A file that was made: its name, and its content in the store."""

    filename: str
    digest: Digest


def recall(store: Store, inputs: bytes) -> Made | None:
    """What was made from `inputs`, if the store still has it."""
    note = _note(store, "made", inputs)
    if not note.is_file():
        return None
    made = Made.model_validate_json(note.read_bytes())
    return made if store.has(made.digest) else None


def remember(store: Store, inputs: bytes, made: Made) -> None:
    """Note that `made`, which the store has, came from `inputs`."""
    _write(_note(store, "made", inputs), made.model_dump_json().encode())


def was_checked(store: Store, inputs: bytes) -> bool:
    """Whether a check of exactly `inputs` passed before."""
    return _note(store, "checked", inputs).is_file()


def mark_checked(store: Store, inputs: bytes) -> None:
    """Note that a check of `inputs` passed."""
    _write(_note(store, "checked", inputs), b"")


def _note(store: Store, kind: str, inputs: bytes) -> Path:
    return store.root / kind / hex_of(digest_bytes(inputs))


def _write(note: Path, content: bytes) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(note, content)
