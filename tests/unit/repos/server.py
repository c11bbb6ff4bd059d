"""A web server over a folder, with ranges and with the faults that real ones have."""

from __future__ import annotations

import base64
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Behaviour:
    """How it answers. `cut`: for this many requests, close after half of the bytes. `fail`: for this many, say 503.
    `ranges`: honour Range. `rate`: bytes a second. `extra`: junk at the end of each file."""

    cut: int = 0
    fail: int = 0
    ranges: bool = True
    rate: float = 0
    extra: bytes = b""
    before: Callable[[str], None] = lambda path: None
    """Called with the path of each request, before its file is looked for; never twice at once."""
    drop: float = 0
    """The share of requests that get half of the bytes, by the dice."""
    delay: float = 0
    """Seconds before an answer."""
    credentials: str = ""
    """`USER:PASSWORD` that each request must bring."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""
    sent: int = 0
    """Bytes of the bodies that were sent whole or until the other end hung up."""
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, name: str) -> bool:
        """Whether this request gets the fault `name`."""
        with self.lock:
            left = int(getattr(self, name))
            setattr(self, name, max(left - 1, 0))
            return left > 0


@contextmanager
def serve(folder: Path, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The base URL of a server of `folder`, over TLS where `tls` says how."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, folder, behaviour)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        # The handshake is the first read's, in the thread of its connection.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, folder: Path, behaviour: Behaviour) -> None:
    wanted = request.headers.get("Range", "")
    behaviour.requests.append((request.path, wanted))
    path = folder / request.path.lstrip("/")
    with behaviour.lock:
        behaviour.before(request.path)
    time.sleep(behaviour.delay)
    if behaviour.credentials:
        expected = f"Basic {base64.b64encode(behaviour.credentials.encode()).decode()}"
        if request.headers.get("Authorization") != expected:
            request.send_error(401)
            return
    if behaviour.spend("fail") or not path.is_file():
        request.send_error(404 if not path.is_file() else 503)
        return
    body = path.read_bytes() + behaviour.extra
    if wanted and behaviour.ranges:
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if int(first) >= len(body):
            request.send_error(416)
            return
        part = body[int(first) : int(last) + 1 if last else None]
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}")
        body = part
    else:
        request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if behaviour.spend("cut") or behaviour.dice.random() < behaviour.drop:
        request.wfile.write(body[: len(body) // 2])
        request.close_connection = True
        return
    _send(request, body, behaviour)


def _send(request: BaseHTTPRequestHandler, body: bytes, behaviour: Behaviour) -> None:
    try:
        for start in range(0, len(body), 4096):
            block = body[start : start + 4096]
            with behaviour.lock:
                behaviour.sent += len(block)
            request.wfile.write(block)
            if behaviour.rate:
                time.sleep(4096 / behaviour.rate)
    except ConnectionError:
        request.close_connection = True
