"""What a run writes. It holds a lock, the product's or its inventory's, so nobody else writes it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from payload.effects import atomic_write, remove_leftovers
from payload.errors import PreflightError


def write_file(path: Path, content: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """`atomic_write`, and what an earlier write of `path` left beside it when it was killed goes."""
    remove_leftovers(path)
    atomic_write(path, content, mode=mode, owner=owner)


@contextmanager
def must_write(path: Path) -> Iterator[None]:
    """Within this, `path` is made: a lock, a log, a journal, without which a run does not begin.

    Raises:
        PreflightError: the operating system refuses: no room, a read-only or failing disk.
    """
    try:
        yield
    except OSError as error:
        raise PreflightError(
            "cannot-record",
            f"cannot write {path}: {error.strerror or error}; nothing was changed",
            remedy=f"see that the file system of {path.parent} has room and can be written (df, mount, dmesg), and run "
            "it again",
        ) from error
