"""Calling an agent."""

import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from management import deadlines

SHORTEST_SECONDS = 0.001
"""What is left of a time that is over: no request can be made with none."""
# Agents speak plain HTTP. Without this each request would load all authorities of the system: 17 ms of processor time,
# where the request itself takes 1 ms. It trusts nobody.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class AgentError(Exception):
    """The agent cannot be reached, refuses the call, or says that it failed."""


class AgentRefusedError(AgentError):
    """The agent was reached and says that it did not do it."""


@dataclass(frozen=True, slots=True)
class AgentClient:
    """One agent on one host."""

    address: str
    port: int
    token: str

    def call(self, path: str, body: dict[str, Any] | None = None, *, timeout: float = 10) -> dict[str, Any]:
        """POST `body` to `path` and return the agent's answer.

        Raises:
            AgentError: see there.
        """
        response = self._post(path, body or {}, {}, timeout)
        try:
            answer = response.json()
        except ValueError as error:
            raise AgentError(f"{response.url}: {error}") from error
        if not isinstance(answer, dict) or not answer.get("success"):
            reason = answer.get("error") if isinstance(answer, dict) else "not an object"
            raise AgentRefusedError(f"{response.url}: {reason}")
        return answer

    def begin(
        self, path: str, body: dict[str, Any], task: str, callback: str, *, seconds: float, timeout: float = 10
    ) -> None:
        """Have the agent do `path` as `task`: it answers at once, and POSTs the result to `callback` when it is done.

        What is not done after so many `seconds` the agent gives up by itself.

        Raises:
            AgentError: it did not take the call.
        """
        headers = {"taskuuid": task, "callbackurl": callback, "timeoutseconds": f"{seconds:.3f}"}
        self._post(path, body, headers, timeout)

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str], timeout: float) -> httpx.Response:
        host = f"[{self.address}]" if ":" in self.address else self.address
        url = f"http://{host}:{self.port}{path}"
        timeout = max(deadlines.clip(timeout), SHORTEST_SECONDS)
        try:
            # trust_env=False: a proxy of the environment has no business between server and agent.
            with httpx.Client(timeout=timeout, trust_env=False, verify=_NO_TLS) as client:
                response = client.post(url, json=body, headers={"Authorization": f"Bearer {self.token}", **headers})
        except httpx.HTTPError as error:
            raise AgentError(f"{url}: {error or type(error).__name__}") from error
        if response.is_error:
            raise AgentRefusedError(f"{url}: HTTP {response.status_code} {response.text[:200]}")
        return response
