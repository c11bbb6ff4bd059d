"""JSON over HTTP POST with a bearer token: the server half of the agent protocol.

Standard library only, so that an agent is one small wheel. Answers are `{"success": true, ...}` or
`{"success": false, "error": "..."}`; a wrong token is 401, an unknown path 404.
"""

import hmac
import json
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Call = Callable[[dict[str, Any]], dict[str, Any]]
MAX_BODY = 1 << 20


class CallError(Exception):
    """A call cannot be done; its text is the answer's `error`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """agent.json, as the deployment writes it."""

    listen_address: str
    listen_port: int
    state_dir: Path
    token: str

    @classmethod
    def load(cls, file: Path) -> "Settings":
        """Read `file` and the token beside it."""
        values = json.loads(file.read_text(encoding="utf-8"))
        token = Path(values["token_file"]).read_text(encoding="ascii").strip()
        if not token:
            raise ValueError(f"{values['token_file']} is empty")
        return cls(values["listen_address"], values["listen_port"], Path(values["state_dir"]), token)


class RpcServer(ThreadingHTTPServer):
    """Listens at once; `serve_forever` answers."""

    daemon_threads = True

    def __init__(self, settings: Settings, calls: Mapping[str, Call]) -> None:
        self.address_family = socket.AF_INET6 if ":" in settings.listen_address else socket.AF_INET
        self.token = settings.token
        self.calls = calls
        super().__init__((settings.listen_address, settings.listen_port), _Request)


class _Request(BaseHTTPRequestHandler):
    server: RpcServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        expected = f"Bearer {self.server.token}".encode()
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected):
            self._answer(HTTPStatus.UNAUTHORIZED, {"success": False, "error": "a valid token is needed"})
            return
        call = self.server.calls.get(self.path.rstrip("/"))
        if call is None:
            self._answer(HTTPStatus.NOT_FOUND, {"success": False, "error": f"no call {self.path}"})
            return
        try:
            answer = {"success": True, **call(self._body())}
        except (CallError, OSError) as error:
            log.warning("%s failed: %s", self.path, error)
            answer = {"success": False, "error": str(error)}
        self._answer(HTTPStatus.OK, answer)

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

    def _answer(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        if status is not HTTPStatus.OK:
            # The body was not read: the connection cannot be used again.
            self.close_connection = True
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
