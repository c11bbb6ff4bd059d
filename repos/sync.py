"""Downloads: parallel, resumed, tried again, and checked before anything else sees them."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests
import urllib3

from payload.digest import CHUNK, Digest
from payload.errors import IntegrityError, ResolveError
from payload.events import Advanced, Failed, Finished, Sink, Started
from payload.store import Store

_STEP = 1 << 16
_PLAIN = "/+~^:@!$&'()*,;=%"
_Broken = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, IntegrityError)


@dataclass(frozen=True, slots=True)
class Download:
    """A file wanted: the URLs that have it (tried in turn), and what it must be. Without `size`, `limit` bounds it.
    With `hold` the store does not have it before somebody vouched for it: see `Store.admit`."""

    urls: tuple[str, ...]
    digest: Digest
    size: int | None = None
    limit: int = 4 << 30
    hold: bool = False

    @property
    def most(self) -> int:
        """More bytes than this are a lie."""
        return self.limit if self.size is None else self.size


def join_url(base: str, location: str) -> str:
    """The URL of the file `location` of the repository at `base`."""
    return f"{base.rstrip('/')}/{quote(location, safe=_PLAIN)}"


@dataclass(frozen=True, slots=True)
class Access:
    """What a server asks for besides what the environment says. `certificate` and `key` are PEM files."""

    proxy: str | None = None
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def words(self) -> dict[str, Any]:
        """The arguments of a request. Given with each, because the environment's come before a session's."""
        words: dict[str, Any] = {}
        if self.proxy is not None:
            words["proxies"] = {"http": self.proxy, "https": self.proxy}
        if self.ca_file is not None:
            words["verify"] = str(self.ca_file)
        if self.certificate is not None:
            own = str(self.certificate)
            words["cert"] = (own, str(self.key)) if self.key else own
        return words


class Fetcher:
    """Fetches into `store`. What `access` leaves open (proxies, CA file; netrc always) comes from the environment, as
    `requests` reads it."""

    def __init__(
        self,
        store: Store,
        sink: Sink,
        *,
        access: Access | None = None,
        jobs: int = 6,
        attempts: int = 4,
        timeout: float = 30,
        pause: float = 0.5,
    ) -> None:
        self.store = store
        self._words = (access or Access()).words
        self._sink = sink
        self._jobs = jobs
        self._attempts = attempts
        self._timeout = timeout
        self._pause = pause
        self._local = threading.local()
        self._emitting = threading.Lock()
        self._stopped = threading.Event()

    def read(self, url: str, *, limit: int = 16 << 20) -> bytes:
        """A small document, unverified: the caller checks it.

        Raises:
            ResolveError: it is not there, cannot be had, or is larger than `limit` bytes.
        """
        reasons: list[str] = []
        for attempt in range(self._attempts):
            self._wait(attempt)
            try:
                return self._read_once(url, limit)
            except _NotThereError as error:
                reasons.append(str(error))
                break
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                reasons.append(_why(error))
        raise ResolveError("fetch-failed", f"{url} cannot be read", details="\n".join(dict.fromkeys(reasons)))

    def fetch(self, downloads: Iterable[Download], *, stage: str, text: str) -> None:
        """Have all `downloads` in the store (or held there); what is there already is not asked for again.

        Raises:
            ResolveError: one cannot be had from any of its URLs, or the disk is full.
            IntegrityError: one is, everywhere, not what it should be.
        """
        wanted = {item.digest: item for item in downloads if not self.store.has(item.digest)}
        if not wanted:
            return
        begun = time.monotonic()
        sizes = [item.size for item in wanted.values()]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        self._sink.emit(Started(stage, text, total))
        try:
            self._fetch_all(tuple(wanted.values()), stage)
        except BaseException:
            self._sink.emit(Failed(stage, text))
            raise
        finally:
            self._stopped.clear()
        self._sink.emit(Finished(stage, f"{text}: {len(wanted)} files", time.monotonic() - begun))

    def _fetch_all(self, downloads: Sequence[Download], stage: str) -> None:
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="fetch") as pool:
            futures = [pool.submit(self._fetch_one, item, stage) for item in downloads]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _fetch_one(self, item: Download, stage: str) -> None:
        """Try the URLs in turn until the file is whole; a try that gets further than any before is no failure."""
        reasons: list[str] = []
        differs = False
        urls = deque(item.urls)
        failures = reached = 0
        while urls and failures < self._attempts * len(item.urls):
            self._wait(failures // len(urls))
            url = urls[0]
            urls.rotate(-1)
            got = 0
            try:
                with self.store.incoming(item.digest, resume=True, hold=item.hold) as out:
                    try:
                        if not (self.store.has(item.digest) and out.tell() == 0):
                            self._transfer(url, item, out, stage)
                    finally:
                        got = out.tell()
                return
            except _NotThereError as error:
                urls.remove(url)
                reasons.append(str(error))
            except _Broken as error:
                differs = isinstance(error, IntegrityError)
                failures = 0 if got > reached and not differs else failures + 1
                reached = max(got, reached)
                reasons.append(f"{url}: {_why(error)}")
        self._give_up(item, reasons, differs)

    def _give_up(self, item: Download, reasons: list[str], differs: bool) -> None:
        kind = IntegrityError if differs else ResolveError
        raise kind(
            "download-differs" if differs else "fetch-failed",
            f"{item.urls[0]} {'is not what it should be' if differs else 'cannot be fetched'}",
            details="\n".join(dict.fromkeys(reasons)),
            remedy="Check that the upstream is whole and reachable; if it changed, make the lock anew.",
        )

    def _transfer(self, url: str, item: Download, out: BufferedRandom, stage: str) -> None:
        offset = out.tell()
        if offset > item.most:
            out.seek(0)
            out.truncate()
            offset = 0
        elif item.size is not None and offset == item.size > 0:
            return  # all bytes are here, the check at the end of the block decides
        with self._open(url, offset) as (start, chunks):
            if start != offset:
                out.seek(0)
                out.truncate()
            for chunk in chunks:
                out.write(chunk)
                if out.tell() > item.most:
                    out.seek(0)
                    out.truncate()
                    raise OSError(f"more than the {item.most} bytes that it should have")
                self._advance(stage, len(chunk))

    def _advance(self, stage: str, amount: int) -> None:
        self._check_stopped()
        with self._emitting:
            self._sink.emit(Advanced(stage, amount))

    def _read_once(self, url: str, limit: int) -> bytes:
        content = bytearray()
        with self._open(url, 0) as (_, chunks):
            for chunk in chunks:
                content += chunk
                if len(content) > limit:
                    raise _NotThereError(f"{url} is larger than {limit} bytes")
        return bytes(content)

    @contextmanager
    def _open(self, url: str, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Where the answer starts (`offset`, or 0 if the server does not resume), and its bytes."""
        parts = urlsplit(url)
        if parts.scheme == "file":
            with _open_file(Path(unquote(parts.path)), offset) as chunks:
                yield offset, chunks
            return
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        with self._session.get(url, headers=headers, stream=True, timeout=self._timeout, **self._words) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable and offset:
                with self._open(url, 0) as whole:
                    yield whole
                return
            if answer.status_code in (404, 410):
                raise _NotThereError(f"{url} is not there ({answer.status_code})")
            answer.raise_for_status()
            resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
            start = offset if answer.status_code == requests.codes.partial_content and resumed else 0
            yield start, answer.raw.stream(_STEP, decode_content=False)

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session

    def _wait(self, attempt: int) -> None:
        if attempt:
            self._stopped.wait(self._pause * 2 ** (attempt - 1))
        self._check_stopped()

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise ResolveError("fetch-stopped", "The download was stopped")


class _NotThereError(OSError):
    """A definite no: asking the same URL again will not help."""


@contextmanager
def _open_file(path: Path, offset: int) -> Iterator[Iterator[bytes]]:
    try:
        source = path.open("rb")
    except FileNotFoundError as error:
        raise _NotThereError(f"{path} is not there") from error
    with source:
        source.seek(offset)
        yield iter(lambda: source.read(CHUNK), b"")


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return f"{error.details or error.brief}" if isinstance(error, IntegrityError) else str(error)
