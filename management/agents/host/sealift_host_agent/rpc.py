"""JSON over HTTP POST with a bearer token: the server half of the agent protocol.

Standard library only, so that an agent is one small wheel. Answers are `{"success": true, ...}` or
`{"success": false, "error": "..."}`; a wrong token is 401, an unknown path 404. A call with the headers `taskuuid`
and `callbackurl` is long: it is answered at once with nothing, and its result is POSTed to that URL. The header
`timeoutseconds` says how long the caller waits: what is not done by then is given up. Some paths answer with a file.
"""

import hmac
import json
import logging
import os
import re
import socket
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from types import MappingProxyType
from typing import Any

from .calls import DEFAULT_SECONDS, CallError, limited

log = logging.getLogger(__name__)

Call = Callable[[dict[str, Any]], dict[str, Any]]
File = Callable[[dict[str, Any]], Path]
"""A call that is answered with a file."""
MAX_BODY = 1 << 20
REPORT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Settings:
    """agent.json, as the deployment writes it."""

    listen_address: str
    listen_port: int
    state_dir: Path
    token: str
    server_ca: Path
    """The certificate that a server which is called back must be trusted by."""

    @classmethod
    def load(cls, file: Path) -> "Settings":
        """Read `file` and the token beside it."""
        values = json.loads(file.read_text(encoding="utf-8"))
        token = Path(values["token_file"]).read_text(encoding="ascii").strip()
        if not token:
            raise ValueError(f"{values['token_file']} is empty")
        state_dir, server_ca = Path(values["state_dir"]), Path(values["server_ca_file"])
        return cls(values["listen_address"], values["listen_port"], state_dir, token, server_ca)


class RpcServer(ThreadingTCPServer):
    """Listens at once; `serve_forever` answers.

    Not an `http.server.HTTPServer`, which asks the network for its own name when it starts.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self, settings: Settings, calls: Mapping[str, Call], files: Mapping[str, File] = MappingProxyType({})
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in settings.listen_address else socket.AF_INET
        self.token = settings.token
        self.calls = calls
        self.files = files
        self.server_ca = settings.server_ca
        super().__init__((settings.listen_address, settings.listen_port), _Request)


def report(url: str, task: str, answer: dict[str, Any], ca: Path) -> None:
    """POST the result of a long call to its caller. When the caller is gone, the result is only logged.

    A caller behind https must show a certificate that `ca` has signed.
    """
    headers = {"Content-Type": "application/json", "taskuuid": task}
    request = urllib.request.Request(url, json.dumps(answer).encode(), headers, method="POST")  # noqa: S310
    try:
        _opener(ca).open(request, timeout=REPORT_SECONDS).close()
    except OSError as error:
        log.warning("the result of task %s was not taken by %s: %s", task, url, error)


def _opener(ca: Path) -> urllib.request.OpenerDirector:
    """Only HTTP and TLS, and no proxy of the environment between agent and server."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)))
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    return opener


class _Request(BaseHTTPRequestHandler):
    server: RpcServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        expected = f"Bearer {self.server.token}".encode()
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected):
            self._answer(HTTPStatus.UNAUTHORIZED, {"success": False, "error": "a valid token is needed"})
            return
        path = self.path.rstrip("/")
        call, file = self.server.calls.get(path), self.server.files.get(path)
        if call is None and file is None:
            self._answer(HTTPStatus.NOT_FOUND, {"success": False, "error": f"no call {self.path}"})
            return
        try:
            body, seconds = self._body(), self._seconds()
        except CallError as error:
            self._answer(HTTPStatus.OK, {"success": False, "error": str(error)})
            return
        with limited(seconds):
            if file is not None:
                self._send(file, body)
            elif call is not None:
                self._serve(call, body)

    def _serve(self, call: Call, body: dict[str, Any]) -> None:
        task, callback = self.headers.get("taskuuid"), self.headers.get("callbackurl")
        if task and callback:
            # A long call: answer now, work in this thread after that, and tell the caller where it asked to be told.
            self.close_connection = True
            self._answer(HTTPStatus.OK, None)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            report(callback, task, self._do(call, body), self.server.server_ca)
        else:
            self._answer(HTTPStatus.OK, self._do(call, body))

    def _send(self, file: File, body: dict[str, Any]) -> None:
        try:
            stream = file(body).open("rb")
        except (CallError, OSError) as error:
            self._answer(HTTPStatus.NOT_FOUND, {"success": False, "error": str(error)})
            return
        with stream:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(os.fstat(stream.fileno()).st_size))
            self.end_headers()
            self.connection.sendfile(stream)

    def _seconds(self) -> float:
        value = self.headers.get("timeoutseconds", str(DEFAULT_SECONDS))
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            raise CallError("timeoutseconds must be a number")
        return float(value)

    def _do(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"success": True, **call(body)}
        except (CallError, OSError) as error:
            log.warning("%s failed: %s", self.path, error)
            return {"success": False, "error": str(error)}
        except Exception as error:
            # A mistake of the agent's own: the caller must not wait for an answer that never comes.
            log.exception("%s failed", self.path)
            return {"success": False, "error": f"the agent made a mistake: {error!r}"}

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            raise CallError(f"the body must have a length of at most {MAX_BODY} bytes")
        try:
            body = json.loads(self.rfile.read(int(length)) or b"{}")
        except (ValueError, RecursionError) as error:
            raise CallError(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise CallError("the body must be an object")
        return body

    def _answer(self, status: HTTPStatus, answer: dict[str, Any] | None) -> None:
        if status is not HTTPStatus.OK:
            # The body was not read: the connection cannot be used again.
            self.close_connection = True
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
