"""What the product is taken to answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from installer.steps.asking import ask


class _Product(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/healthz?deep=1": 200, "/": 204, "/moved": 302}.get(self.path, 503))
        self.send_header("Location", "/")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@pytest.fixture(scope="module")
def product() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Product) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "status"), {"/healthz?deep=1": "200", "": "204", "/moved": "302", "/no": "503"}.items()
)
def test_the_status_is_what_it_answers(product: str, path: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself: no proxy is asked, and no redirect followed."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert ask(product + path, 5) == status


def test_what_is_in_the_way_is_named() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert ask(address, 5) == "ConnectionRefusedError"
        silent.listen()
        assert ask(address, 0.05) == "TimeoutError"
    for url in ("http://127.0.0.1:port/", "http://[::1", "http://127.0.0.1/a b"):
        assert ask(url, 5) in {"ValueError", "InvalidURL"}
