"""Calling an agent."""

from dataclasses import dataclass
from typing import Any

import httpx


class AgentError(Exception):
    """The agent cannot be reached, refuses the call, or says that it failed."""


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
        host = f"[{self.address}]" if ":" in self.address else self.address
        url = f"http://{host}:{self.port}{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            # trust_env=False: a proxy of the environment has no business between server and agent.
            with httpx.Client(timeout=timeout, trust_env=False) as client:
                response = client.post(url, json=body or {}, headers=headers)
                response.raise_for_status()
                answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise AgentError(f"{url}: {error or type(error).__name__}") from error
        if not isinstance(answer, dict) or not answer.get("success"):
            reason = answer.get("error") if isinstance(answer, dict) else "not an object"
            raise AgentError(f"{url}: {reason}")
        return answer
