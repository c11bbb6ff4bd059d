"""`bundle.lock`: JSON beside the manifest, one artifact a line, so that a review shows what changed.

What upstreams say about its packages besides goes into files of its own, which the lock names by their digests: an
upstream replaces such a document any day, and keeps no older one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from builder.manifest import LoadedManifest
from payload.digest import digest_bytes
from payload.document import Document
from payload.effects import atomic_write
from payload.errors import InputError
from payload.lock import Lock, LockedDocument

_DOCUMENTS = {"updateinfo": ".updateinfo.xml", "group": ".comps.xml", "modules": ".modules.yaml"}


def lock_path(manifest: Path) -> Path:
    """Where the lock of the manifest at that path is."""
    return manifest.with_suffix(".lock")


def document_path(lock: Path, kind: str) -> Path:
    """Where the document of that kind is of the lock at that path."""
    return lock.with_suffix(_DOCUMENTS[kind])


def write_lock(path: Path, lock: Lock, documents: Mapping[str, bytes]) -> None:
    """Write `lock` and the documents that it names, each whole or not at all; the lock last, so that one which was cut
    off is seen. Those of the lock before that are no longer wanted go. The same lock gives the same bytes."""
    before = earlier_lock(path)
    for kind, text in documents.items():
        atomic_write(document_path(path, kind), text)
    atomic_write(path, lock_text(lock).encode())
    for row in before.documents if before is not None else ():
        if row.kind not in documents:
            document_path(path, row.kind).unlink(missing_ok=True)


def read_documents(manifest: Path, lock: Lock) -> dict[str, bytes]:
    """The documents that `lock` names, which is that of the manifest at that path: plain texts by kind.

    Raises:
        InputError: `lock-stale`: one is not there, or is another one.
    """
    return {row.kind: _read_document(manifest, row) for row in lock.documents}


def _read_document(manifest: Path, row: LockedDocument) -> bytes:
    path = document_path(lock_path(manifest), row.kind)
    text = path.read_bytes() if path.is_file() else None
    if text is None or digest_bytes(text) != row.digest:
        raise InputError(
            "lock-stale",
            f"{path} {'is missing' if text is None else 'is not the one that the lock names'}",
            details="It belongs to the lock: keep, commit and copy both.",
            remedy=f"get it back, or run: sealift lock {manifest}",
        )
    return text


def lock_text(lock: Lock) -> str:
    """`lock` as JSON in which each artifact has a line of its own."""
    parts = [
        f'  "format": {lock.format}',
        f'  "manifest": {_compact(lock.manifest)}',
        f'  "revision": {lock.revision}',
        *(_list(name, rows) for name, rows in _tables(lock)),
        f'  "pip": {_line(lock.pip)}',
        *([f'  "python": {_line(lock.python)}'] if lock.python else []),
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _tables(lock: Lock) -> Iterator[tuple[str, Sequence[Document]]]:
    yield "rpms", lock.rpms
    if lock.documents:
        yield "documents", lock.documents
    yield "wheels", lock.wheels
    yield "images", lock.images


def read_lock(loaded: LoadedManifest) -> Lock:
    """The lock of that manifest.

    Raises:
        InputError: `lock-missing`, `lock-invalid`, or `lock-stale`: it was made from another manifest.
    """
    path = lock_path(loaded.path)
    remedy = f"run: sealift lock {loaded.path}"
    try:
        lock = Lock.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError("lock-missing", f"{path} cannot be read: {error.strerror}", remedy=remedy) from error
    except ValidationError as error:
        raise InputError(
            "lock-invalid",
            f"{path.name} is not a lock of this version",
            details="\n".join(_mistakes(error)),
            remedy=remedy,
        ) from error
    portable = loaded.manifest.runtime.python == "portable"
    if lock.manifest != loaded.digest or (lock.python is not None) != portable:
        raise InputError(
            "lock-stale",
            f"{loaded.path.name} changed after {path.name} was made",
            details=f"manifest  {loaded.digest}\nlocked    {lock.manifest}",
            remedy=f"{remedy}, then look at what changed in {path.name}",
        )
    return lock


def earlier_lock(path: Path) -> Lock | None:
    """The lock that is at `path` now; None if there is none, or one of another version."""
    try:
        return Lock.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _mistakes(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False)[:10]:
        yield f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"


def _list(name: str, rows: Iterable[Document]) -> str:
    lines = ",\n".join(f"    {_line(row)}" for row in rows)
    return f'  "{name}": [\n{lines}\n  ]' if lines else f'  "{name}": []'


def _line(row: Document) -> str:
    return _compact(row.model_dump(mode="json", exclude_none=True))


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
