"""Parsed metadata, kept in libsolv's own format beside the store: read several times faster than XML."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import solv  # type: ignore[import-untyped]

from payload.digest import Digest, digest_bytes, hex_of

_EXTENSION = solv.Repo.REPO_EXTEND_SOLVABLES | solv.Repo.REPO_LOCALPOOL


def load_packages(repo: Any, folder: Path, document: Digest, parse: Callable[[], None]) -> None:
    """Fill `repo` with the packages of the primary metadata `document`: from the cache in `folder`, else by `parse`."""
    cached = _path(folder, "primary", document)
    if not _read(repo, cached, 0):
        parse()
        _write(cached, repo.write)


def load_files(repo: Any, folder: Path, document: Digest, parse: Callable[[], None]) -> None:
    """Add the file lists `document` to the packages of `repo`: from the cache in `folder`, else by `parse`, which must
    reuse the last repodata."""
    cached = _path(folder, "filelists", document)
    if not _read(repo, cached, _EXTENSION):
        data = repo.add_repodata(_EXTENSION)
        parse()
        data.internalize()
        _write(cached, data.write)


def remember_files(repo: Any, folder: Path, document: Digest, files: Sequence[int]) -> None:
    """Note in the cache that it is known which packages have `files` (numbers of their paths): the search for them is
    most of the time that a solver needs to begin."""
    data = repo.first_repodata()
    if data is None or set(files) <= set(data.lookup_idarray(solv.SOLVID_META, solv.REPOSITORY_ADDEDFILEPROVIDES)):
        return
    for number in files:
        data.add_idarray(solv.SOLVID_META, solv.REPOSITORY_ADDEDFILEPROVIDES, number)
    data.internalize()
    _write(_path(folder, "primary", document), repo.write_first_repodata)


def _path(folder: Path, kind: str, document: Digest) -> Path:
    # The format belongs to a version of libsolv; a cache of another one is not even looked at.
    name = hex_of(digest_bytes(f"{kind} {document} {version('solv')}".encode()))
    return folder / f"{name}.solv"


def _read(repo: Any, path: Path, flags: int) -> bool:
    if not path.is_file():
        return False
    return bool(repo.add_solv(solv.xfopen(str(path)), flags))


def _write(path: Path, write: Callable[[Any], object]) -> None:
    """A cache that cannot be written costs time, nothing else: it is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=".solv-")
    os.close(fd)
    try:
        stream = solv.xfopen(name, "w")
        if write(stream) and stream.flush():
            stream.close()
            Path(name).rename(path)
    finally:
        Path(name).unlink(missing_ok=True)
