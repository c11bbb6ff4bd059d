"""What was made from which inputs: a note beside the store's files, so that nothing is made twice."""

from __future__ import annotations

from pathlib import Path

from payload.digest import Digest, digest_bytes, hex_of
from payload.effects import atomic_write
from payload.model import Document
from payload.store import Store


class Made(Document):
    """A file that was made: its name, and its content in the store."""

    filename: str
    digest: Digest


def recall(store: Store, inputs: bytes) -> Made | None:
    """What was made from `inputs`, if the store still has it."""
    note = _note(store, inputs)
    if not note.is_file():
        return None
    made = Made.model_validate_json(note.read_bytes())
    return made if store.has(made.digest) else None


def remember(store: Store, inputs: bytes, made: Made) -> None:
    """Note that `made`, which the store has, came from `inputs`."""
    note = _note(store, inputs)
    note.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(note, made.model_dump_json().encode())


def _note(store: Store, inputs: bytes) -> Path:
    return store.root / "made" / f"{hex_of(digest_bytes(inputs))}.json"
