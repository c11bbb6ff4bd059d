"""`bundle.lock`: JSON beside the manifest, one artifact a line, so that a review shows what changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from builder.manifest import LoadedManifest
from payload.document import Document
from payload.effects import atomic_write
from payload.errors import InputError
from payload.model import Lock, LockedRpm


def lock_path(manifest: Path) -> Path:
    """Where the lock of the manifest at that path is."""
    return manifest.with_suffix(".lock")


def write_lock(path: Path, lock: Lock) -> None:
    """Write `lock`, whole or not at all. The same lock gives the same bytes."""
    atomic_write(path, lock_text(lock).encode())


def lock_text(lock: Lock) -> str:
    """`lock` as JSON in which each artifact has a line of its own."""
    parts = [
        f'  "format": {lock.format}',
        f'  "manifest": {_compact(lock.manifest)}',
        *(_list(name, rows) for name, rows in (("rpms", lock.rpms), ("wheels", lock.wheels), ("images", lock.images))),
        f'  "pip": {_line(lock.pip)}',
        *([f'  "python": {_line(lock.python)}'] if lock.python else []),
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


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


def earlier_rpms(path: Path) -> tuple[LockedRpm, ...]:
    """The packages of the lock that is at `path` now; none if there is none, or one of another version."""
    try:
        return Lock.model_validate_json(path.read_bytes()).rpms
    except (OSError, ValidationError):
        return ()


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
