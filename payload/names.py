"""The checked texts that a bundle's index is made of."""

from __future__ import annotations

from pathlib import PurePosixPath

from payload.strict import MalformedError, Shape, text

_NAME_MAX = 255
_PATH_MAX = 1024
NAME = Shape(r"^[a-z][a-z0-9-]{0,30}$")
COMPONENT = Shape(r"^[a-z][a-z0-9/_.-]{0,99}$")
LIBC_VERSION = Shape(r"^2\.[0-9]{1,3}$")
SHA256 = Shape(r"^[0-9a-f]{64}$")


def relative_path(value: object) -> str:
    """A path below some folder, in its plain form.

    Raises:
        MalformedError: it leads out of it, or is not what a file system or a terminal takes.
    """
    given = text(value)
    path = PurePosixPath(given)
    if path.is_absolute() or ".." in path.parts or given != str(path) or given in {"", "."}:
        raise MalformedError(f"{given!r} is no plain relative path: no '..', no leading '/', no './', no empty part")
    if "\\" in given or not given.isprintable():
        raise MalformedError(f"{given!r} has a backslash or a letter that cannot be printed")
    if len(given) > _PATH_MAX:
        raise MalformedError(f"{given[:40]!r}… is longer than {_PATH_MAX} letters")
    if any(len(part.encode()) > _NAME_MAX for part in path.parts):
        raise MalformedError(f"{given!r} has a part of more than {_NAME_MAX} bytes, which no file system takes")
    return given
