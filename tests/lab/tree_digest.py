"""Runs inside a host: what lies below the paths of argv, as JSON of path to a line that tells one state from another.

Usage: python3 - [--except PATH]... PATH... < tree_digest.py
"""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path


def describe(path: Path) -> str:
    """Kind, mode, owner, and the content: of a file its digest, of a link its target."""
    status = path.lstat()
    owner = f"{stat.S_IMODE(status.st_mode):04o} {status.st_uid}:{status.st_gid}"
    if stat.S_ISLNK(status.st_mode):
        return f"link {path.readlink()}"
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as handle:
            return f"file {owner} {hashlib.file_digest(handle, 'sha256').hexdigest()}"
    if stat.S_ISDIR(status.st_mode):
        return f"folder {owner}"
    return f"special {owner} {stat.S_IFMT(status.st_mode):o} {status.st_rdev}"


def walk(path: Path, skipped: frozenset[Path]) -> Iterator[Path]:
    """`path` and everything below it; neither links nor skipped paths are followed."""
    if path in skipped or not (path.exists() or path.is_symlink()):
        return
    yield path
    if path.is_dir() and not path.is_symlink():
        for child in sorted(path.iterdir()):
            yield from walk(child, skipped)


def main(arguments: list[str]) -> None:
    skipped = set()
    while arguments[:1] == ["--except"]:
        skipped.add(Path(arguments[1]))
        arguments = arguments[2:]
    found = {}
    for start in arguments:
        for path in walk(Path(start), frozenset(skipped)):
            try:
                found[str(path)] = describe(path)
            except FileNotFoundError:  # went away while we looked, as files of a running system do
                continue
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
