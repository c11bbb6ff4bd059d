"""Made once, found by digest: the lab's repository, key, root and image live here between runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
_DAY = 24 * 3600


def default_folder() -> Path:
    """`$SEALIFT_LAB_CACHE`, or a folder in the user's cache."""
    if chosen := os.environ.get("SEALIFT_LAB_CACHE"):
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).resolve() / "sealift" / "lab"


def progress(line: str) -> None:
    """Tell the person who waits what is being made."""
    print(f"lab: {line}", file=sys.stderr, flush=True)


def digest_of(*parts: str | bytes) -> str:
    """A digest that names what `parts` make."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def code_digest(*modules: str, folder: Path = HERE) -> str:
    """A digest of the named source files: what they make is made again when they change."""
    return digest_of(*((folder / name).read_bytes() for name in modules))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` (made when absent); it ends with the process at the latest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class Cache:
    """Folders that are complete as soon as they exist."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def item(self, name: str, key: str, make: Callable[[Path], None]) -> Path:
        """The folder `name` for `key`; when absent, `make` fills a folder beside it that is then renamed.

        Two processes that want the same item make it once. Items of this name older than a day go away then.
        """
        target = self.folder / f"{name}-{key[:16]}"
        if target.is_dir():
            return target
        with locked(self.folder / f".{name}.lock"):
            if not target.is_dir():
                self._make(name, target, make)
        return target

    def _make(self, name: str, target: Path, make: Callable[[Path], None]) -> None:
        began = time.monotonic()
        progress(f"making {name} …")
        partial = self.folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        make(partial)
        partial.rename(target)
        self._forget_old(name, target)
        progress(f"{name} made in {time.monotonic() - began:.1f} s")

    def _forget_old(self, name: str, target: Path) -> None:
        """Remove what was made for other keys long ago; newer ones may be in use by another run."""
        for other in self.folder.glob(f"{name}-*"):
            if other != target and time.time() - other.stat().st_mtime > _DAY:
                shutil.rmtree(other, ignore_errors=True)
