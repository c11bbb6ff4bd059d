"""Disk images as files: everything that qemu-img does here."""

import json
import os
from pathlib import Path
from typing import Any

from .calls import CallError, run

FORMATS = ("qcow2", "raw")


def shape(file: Path, kind: str = "qcow2") -> dict[str, Any]:
    """What `qemu-img info` says of the image, read as `kind` and never as what it claims to be.

    Raises:
        CallError: it is none.
    """
    # -U: a running VM has its images locked, and to look at them is no harm.
    found: dict[str, Any] = json.loads(run(["qemu-img", "info", "-U", "--output=json", "-f", kind, file]))
    return found


def backing(file: Path) -> str | None:
    """The file that the image depends on, or None when it stands alone."""
    found = shape(file).get("full-backing-filename")
    return None if found is None else str(found)


def check_foreign(file: Path, kind: str) -> None:
    """Return when an image that came from outside may be used: one that names other files would read them for a guest.

    Raises:
        CallError: it is no image of that kind, or it is not one whole file.
    """
    if kind not in FORMATS:
        raise CallError(f"an image must be one of {', '.join(FORMATS)}; {kind} is none of them")
    found = shape(file, kind)
    special = found.get("format-specific", {}).get("data", {})
    if "backing-filename" in found or special.get("data-file"):
        raise CallError("the image depends on another file; only whole images are taken")


def create(file: Path, size: int) -> None:
    """Make an empty image of `size` bytes. One that is there is left as it is."""
    if not file.exists():
        run(["qemu-img", "create", "-q", "-f", "qcow2", _new(file), str(size)])
        _take(file)


def create_upon(file: Path, base: Path, kind: str, size: int = 0) -> None:
    """Make an image that goes on from `base`, of its size or of `size` bytes, if more. One that is there stays."""
    if not file.exists():
        most = max(size, int(shape(base, kind)["virtual-size"]))
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", kind, _new(file), str(most)])
        _take(file)


def depend_on(file: Path, base: Path | None) -> None:
    """Make the image, which nobody uses, depend on `base` only, or on nothing. Its content stays what it is."""
    if backing(file) != (None if base is None else str(base)):
        words = ["-b", ""] if base is None else ["-b", base, "-F", "qcow2"]
        run(["qemu-img", "rebase", "-q", "-f", "qcow2", *words, file])


def _new(file: Path) -> Path:
    """Where the file is made: under its own name there are only whole ones."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return file.with_name(f".{file.name}.new")


def _take(file: Path) -> None:
    _new(file).replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
