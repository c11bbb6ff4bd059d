"""Where files of this host's own storage may lie: the server names a folder, and below it everything has a form."""

import re
from pathlib import Path

from .calls import Body, inside, text

_ROOT = r"(?P<root>(?:/[A-Za-z0-9._-]+)+)"
_ID = r"[0-9a-f]{32}"
_VOLUME = re.compile(rf"{_ROOT}/(?:rootVolumes|dataVolumes)/acct-{_ID}/vol-{_ID}/{_ID}\.(?:qcow2|raw)")
_TEMPLATE = re.compile(rf"{_ROOT}/imagecache/template/{_ID}/{_ID}\.(?:qcow2|raw)")


def volume(body: Body, name: str) -> Path:
    """The path of a volume's file, or of a snapshot of it, that the body must hold.

    Raises:
        CallError: it does not, or it is the path of something else.
    """
    return inside(_VOLUME, text(body, name), name)


def is_volume(path: str) -> bool:
    """Whether the path is one of a volume's file, or of a snapshot's."""
    return _VOLUME.fullmatch(path) is not None


def template(body: Body, name: str) -> Path:
    """The path of a cached image that the body must hold.

    Raises:
        CallError: it does not, or it is the path of something else.
    """
    return inside(_TEMPLATE, text(body, name), name)


def remove(file: Path) -> None:
    """Delete the file of a volume, and the folders that were only for it. One that is not there is no mistake."""
    file.unlink(missing_ok=True)
    file.with_name(f".{file.name}.new").unlink(missing_ok=True)
    for folder in (file.parent, file.parent.parent):
        if not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
