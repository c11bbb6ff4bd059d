"""Files that a run writes. It holds a lock, the product's or its inventory's, so nobody else writes them meanwhile."""

from __future__ import annotations

from pathlib import Path

from payload.effects import atomic_write, remove_leftovers


def write_file(path: Path, content: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """`atomic_write`, and what an earlier write of `path` left beside it when it was killed goes."""
    remove_leftovers(path)
    atomic_write(path, content, mode=mode, owner=owner)
