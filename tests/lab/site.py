"""A web server on the lab's network, for mirrors and downloads: static files, with ranges."""

from __future__ import annotations

import re
import socket
import threading
import time
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from tests.lab.namespaces import socket_in
from tests.lab.network import Network

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


class Site:
    """Serves `folder` at `address`, port 80, until `close`. `requests` holds "METHOD host path" of each request.

    With `rate`, metadata of repositories takes its time: so many bytes a second.
    """

    def __init__(self, network: Network, folder: Path, address: str, rate: int | None = None) -> None:
        self.address = address
        self.rate = rate
        self.requests: list[str] = []
        network.add_address(address)
        listening = socket_in(network.pid, lambda: socket.create_server((address, 80), backlog=64))
        self._server = ThreadingHTTPServer((address, 80), partial(_Files, self, str(folder)), bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listening
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Files(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, folder: str, *arguments: Any) -> None:
        self._site = site
        self._left: int | None = None
        super().__init__(*arguments, directory=folder)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept for the test instead of being printed."""

    def address_string(self) -> str:
        return str(self.client_address[0])

    def send_head(self) -> Any:
        self._site.requests.append(f"{self.command} {self.headers.get('Host', '-')} {self.path}")
        match = _RANGE.match(self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if match is None or not path.is_file():
            return super().send_head()
        return self._send_range(path, int(match[1]), match[2])

    def _send_range(self, path: Path, first: int, last: str) -> BinaryIO | None:
        size = path.stat().st_size
        end = min(int(last) if last else size - 1, size - 1)
        if first > end:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {first}-{end}/{size}")
        self.send_header("Content-Length", str(end - first + 1))
        self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.end_headers()
        self._left = end - first + 1
        source = path.open("rb")
        source.seek(first)
        return source

    def copyfile(self, source: Any, outputfile: Any) -> None:
        left = self._left
        self._left = None
        try:
            while left is None or left > 0:
                chunk = source.read(65536 if left is None else min(left, 65536))
                if not chunk:
                    return
                if self._site.rate is not None and "/repodata/" in self.path:
                    time.sleep(len(chunk) / self._site.rate)
                outputfile.write(chunk)
                left = None if left is None else left - len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
