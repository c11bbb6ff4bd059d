"""What a run has to be able to write before it may change anything: its lock, its log, its journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from payload.errors import PreflightError


@contextmanager
def must_write(path: Path) -> Iterator[None]:
    """Within this, `path` is made and written for the first time.

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
