"""A new file for something secret: for its owner only, and gone again if it does not become whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from payload.errors import UsageError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def created(path: Path, *, code: str, remedy: str) -> Iterator[IO[bytes]]:
    """`path`, open for reading and writing.

    Raises:
        UsageError: with `code` and `remedy`: it is there already, cannot be made, or the disk gets full.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UsageError(code, f"cannot make {path}: {error.strerror}", remedy=remedy) from error
    try:
        with os.fdopen(fd, "w+b") as file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise UsageError(code, f"cannot write {path}: {error.strerror}", remedy=remedy) from error
        raise
