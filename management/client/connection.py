"""Talking to the server: calls that are answered at once, and calls that are polled until they are done."""

import hashlib
import json
import ssl
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from management.client.calls import Call, T
from management.client.errors import ApiFailure, ClientError

# For a server that does not say how long a call may take; giving up earlier would only hide its result.
DEFAULT_WAIT_SECONDS = 3 * 3600
# What the server has after that for undoing what it began.
GRACE_SECONDS = 900
POLL_SECONDS = (0.05, 0.1, 0.2, 0.5)
PLAIN_PORT, TLS_PORT = 8080, 8443
LOG_IN = "org.zstack.header.identity.APILogInByAccountMsg"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is. On this very host it is spoken to without TLS, unless a `ca` is given.

    Without a `ca`, another host's certificate must be signed by an authority that this system trusts.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    ca: Path | None = None

    @property
    def tls(self) -> bool:
        return self.ca is not None or not _is_loopback(self.host)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme, port = ("https", TLS_PORT) if self.tls else ("http", PLAIN_PORT)
        return f"{scheme}://{host}:{self.port or port}/zstack/api"

    def trust(self) -> ssl.SSLContext | bool:
        """What the server's certificate is checked with.

        Raises:
            ClientError: the file `ca` is no certificate.
        """
        if not self.tls:
            return False
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise ClientError(f"{self.ca} cannot be used as the server's authority: {error}") from error


class Connection:
    """One server, and the session of whoever has logged in. Close it, or use it in a `with`."""

    def __init__(self, server: Server, session: str | None = None) -> None:
        """Raises:
        ClientError: see `Server.trust`.
        """
        self.url = server.url
        self.session = session
        # trust_env=False: a proxy of the environment has no business between shell and server.
        self._http = httpx.Client(verify=server.trust(), timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the session stays good."""
        self._http.close()

    def log_in(self, account: str, password: str) -> str:
        """Make a session, use it from now on, and return its uuid.

        Raises:
            ApiFailure, ClientError: see `call`.
        """
        digest = hashlib.sha512(password.encode()).hexdigest()
        answer = self.call(LOG_IN, {"accountName": account, "password": digest})
        self.session = str(answer["inventory"]["uuid"])
        return self.session

    def ask(self, call: Call[T], timeout: int | None = None) -> T:
        """Make a typed call and return its answer; the server gives up after `timeout` milliseconds.

        Raises:
            ApiFailure, ClientError: see `call`.
        """
        limit = {} if timeout is None else {"timeout": timeout}
        return cast(T, self.call(call.wire_name, call.to_wire() | limit))

    def call(self, message: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Send `message`, wait for its end, and return the answer without its envelope.

        Raises:
            ApiFailure: the server says that it failed.
            ClientError: the server cannot be reached or trusted, or did not finish long after the call's time.
        """
        session = {"session": {"uuid": self.session}} if self.session else {}
        state = self._request("POST", "/", {message: {**fields, **session}}).json()
        limit = state["timeout"] / 1000 if "timeout" in state else DEFAULT_WAIT_SECONDS
        answer = json.loads(self._wait(state, time.monotonic() + limit + GRACE_SECONDS)["result"])
        ((name, content),) = answer.items()
        if not content["success"]:
            raise ApiFailure(name, content["error"])
        return dict(content)

    def catalogue(self) -> dict[str, Any]:
        """What the server can be asked, as it describes itself.

        Raises:
            ClientError: it cannot be reached or trusted.
        """
        found: dict[str, Any] = self._request("GET", "/catalogue").json()
        return found

    def _wait(self, state: dict[str, Any], deadline: float) -> dict[str, Any]:
        pauses = list(POLL_SECONDS)
        while state["state"] != "Done":
            if time.monotonic() > deadline:
                raise ClientError(f"the call {state['uuid']} is not finished; its result stays on the server")
            time.sleep(pauses[0] if len(pauses) == 1 else pauses.pop(0))
            state = self._request("GET", f"/result/{state['uuid']}").json()
        return state

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = self._http.request(method, self.url + path, json=body)
        except httpx.HTTPError as error:
            hint = "Is the management server running?"
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "Give its authority with --ca; `sealift-server show-authority` prints it there."
            raise ClientError(f"{self.url} cannot be reached ({error}). {hint}") from error
        if response.status_code != httpx.codes.OK:
            raise ClientError(f"{self.url}{path} answered {response.status_code}: {response.text[:500]}")
        return response


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
