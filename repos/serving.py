"""A repository over HTTP: ranges, connections that stay, and nothing but its own files.

The files need not lie in a folder: an install serves them out of the bundle. Nothing is ever looked up, logged or
listed, so that serving on loopback sends no packet anywhere else.
"""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path, PurePosixPath
from socketserver import ThreadingTCPServer
from typing import Protocol
from urllib.parse import unquote, urlsplit

LOOPBACK = ("127.0.0.1", 0)
"""This host only, at a port that is free."""
_CHUNK = 1 << 20
_IDLE = 60.0
"""Seconds after which a silent connection is closed."""
_CONNECTIONS = 64
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Files(Protocol):
    """The files of a repository, by their path in it."""

    def size(self, path: str) -> int | None:
        """Bytes of the file; None if there is none."""

    def read(self, path: str, offset: int, size: int) -> bytes:
        """`size` bytes of a file that is there, from `offset`.

        Raises:
            SealiftError, OSError: it is damaged, or went away.
        """


class FolderFiles:
    """Files below `folder`; links do not lead out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def size(self, path: str) -> int | None:
        """See `Files`."""
        found = self._find(path)
        return found.stat().st_size if found else None

    def read(self, path: str, offset: int, size: int) -> bytes:
        """See `Files`."""
        with (self._folder / path).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _find(self, path: str) -> Path | None:
        with suppress(OSError, ValueError):
            found = (self._folder / path).resolve()
            return found if found.is_relative_to(self._folder) and found.is_file() else None
        return None


class RepositoryServer(ThreadingTCPServer):
    """Serves `files` below the URL path `/PREFIX/` (or `/` when it is empty) at `address`.

    Not an `http.server.HTTPServer`, which looks its own name up when it starts.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files: Files, address: tuple[str, int], prefix: str = "") -> None:
        self.files = files
        self.prefix = f"/{prefix}/" if prefix else "/"
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        """Where the repository is, without a slash at the end."""
        host, port = self.server_address[:2]
        name = f"[{host!s}]" if self.address_family == socket.AF_INET6 else host
        return f"http://{name!s}:{port}{self.prefix}".rstrip("/")

    def process_request(self, request: object, client_address: object) -> None:
        """Serve a connection; more than there are slots wait."""
        self._slots.acquire()
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Give the slot back when the connection ends."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or a file that did: the connection is closed, and the client says what it missed."""


@contextmanager
def serving(files: Files) -> Iterator[str]:
    """Serve `files` on loopback for the time of a `with`, and give the URL: nobody can guess it."""
    with RepositoryServer(files, LOOPBACK, secrets.token_urlsafe(24)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="repository")
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "repository"
    sys_version = ""
    timeout = _IDLE
    disable_nagle_algorithm = True
    server: RepositoryServer

    def do_GET(self) -> None:
        """A file, or a part of it."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """The same without its bytes."""
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""

    def _answer(self, *, body: bool) -> None:
        path = self._wanted()
        size = None if path is None else self.server.files.size(path)
        if path is None or size is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        part = parse_range(self.headers.get("Range", ""), size)
        if part is None:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"bytes */{size}")
            return
        first, last = part
        whole = (first, last) == (0, size - 1)
        self.send_response(HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT)
        if not whole:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if body:
            self._send(path, first, last + 1)

    def _wanted(self) -> str | None:
        path = unquote(urlsplit(self.path).path)
        parts = PurePosixPath(path).parts
        if not path.startswith(self.server.prefix) or ".." in parts or "\0" in path or "//" in path:
            return None
        return path.removeprefix(self.server.prefix) or None

    def _send(self, path: str, offset: int, end: int) -> None:
        """A file that turns out to be damaged or gone ends the connection, so that nobody takes what came for all."""
        self.close_connection = True
        while offset < end:
            chunk = self.server.files.read(path, offset, min(_CHUNK, end - offset))
            if not chunk:
                return
            self.wfile.write(chunk)
            offset += len(chunk)
        self.close_connection = self.headers.get("Connection", "").lower() == "close"

    def _refuse(self, status: HTTPStatus, content_range: str = "") -> None:
        self.send_response(status)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", "0")
        self.end_headers()


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The first and last byte that a Range header asks of `size` bytes; None if it asks for none that is there.

    Without the header, and for several ranges or another unit, it is the whole file, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return 0, size - 1
    if match[1] == "":
        first, last = max(size - int(match[2]), 0), size - 1
    else:
        first, last = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
    return (first, last) if first <= last and first < size else None
