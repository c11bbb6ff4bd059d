"""Downloads: one at a time for each file, ended by a deletion of it or when their time is over."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .calls import CallError, Locks, left

_BLOCK = 1 << 20
_READ_SECONDS = 30.0
"""How long a source may say nothing."""


class Downloads:
    """`imports` is the folder whose files `file:` URLs may name."""

    def __init__(self, imports: Path) -> None:
        self._imports = imports
        self._locks = Locks()
        self._guard = threading.Lock()
        self._running: dict[Path, threading.Event] = {}

    def get(self, url: str, file: Path) -> None:
        """Have the URL's content in `file`, all of it. A file that is there stays.

        Raises:
            CallError: it cannot be got, was deleted meanwhile, or the time is over. Nothing of it is left then.
        """
        with self._locks(str(file)):
            if file.exists():
                return
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            arriving = _arriving(file)
            try:
                with self._wanted(file) as ended:
                    self._copy(url, arriving, ended)
                    with self._guard:
                        _check(ended, file)
                        arriving.replace(file)
            finally:
                arriving.unlink(missing_ok=True)

    def remove(self, file: Path) -> None:
        """Delete the file and its folder. One that is not there is no mistake.

        A download to it comes to nothing from now on; it is not waited for, its source may say nothing for a while.
        """
        with self._guard:
            if file in self._running:
                self._running[file].set()
            file.unlink(missing_ok=True)
            _arriving(file).unlink(missing_ok=True)
            if file.parent.is_dir() and not any(file.parent.iterdir()):
                file.parent.rmdir()

    @contextmanager
    def _wanted(self, file: Path) -> Iterator[threading.Event]:
        ended = threading.Event()
        with self._guard:
            self._running[file] = ended
        try:
            yield ended
        finally:
            with self._guard:
                del self._running[file]

    def _copy(self, url: str, target: Path, ended: threading.Event) -> None:
        try:
            with urllib.request.urlopen(self._source(url), timeout=min(left(), _READ_SECONDS)) as source:  # noqa: S310
                with target.open("wb") as stream:
                    while block := source.read1(_BLOCK):
                        _check(ended, target)
                        left()
                        stream.write(block)
                length = source.headers.get("Content-Length")
                if length is not None and target.stat().st_size != int(length):
                    raise CallError(f"{url} ended after {target.stat().st_size} of {length} bytes")
        except (OSError, HTTPException, ValueError) as error:
            raise CallError(f"{url}: {error}") from error

    def _source(self, url: str) -> str:
        """The URL, if it may be read. Files of this host are not for everybody who may add an image."""
        parts = urlsplit(url)
        if parts.scheme in ("http", "https"):
            return url
        if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
            raise CallError(f"{url} is neither http:, https: nor file:")
        file = Path(unquote(parts.path)).resolve()
        if not file.is_relative_to(self._imports.resolve()):
            raise CallError(f"only files in {self._imports} can be images: {url}")
        return file.as_uri()


def _check(ended: threading.Event, file: Path) -> None:
    if ended.is_set():
        raise CallError(f"the download was ended: {file} is deleted")


def _arriving(file: Path) -> Path:
    return file.with_name(f".{file.name[:200]}.new")
