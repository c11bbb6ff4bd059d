"""Talking to the server: its catalogue, synchronous calls, and calls that are polled until they are done."""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from management.cli.catalogue import Catalogue
from management.cli.errors import ApiFailure, CliError
from management.cli.grammar import Call

# As long as the longest call may take on the server; giving up earlier would only hide its result.
DEFAULT_WAIT_SECONDS = 3 * 3600
POLL_SECONDS = (0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Client:
    """One server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/zstack/api"

    def catalogue(self) -> Catalogue:
        """What the server can be asked.

        Raises:
            CliError: it cannot be reached.
        """
        return Catalogue.of(self._request("GET", f"{self.url}/catalogue").json())

    def call(self, call: Call, session: str | None) -> dict[str, Any]:
        """Send `call`, wait for its end, and return the answer without its envelope.

        Raises:
            ApiFailure: the server says that it failed.
            CliError: the server cannot be reached, or did not finish in time.
        """
        fields = {**call.fields, **({"session": {"uuid": session}} if session else {})}
        state = self._request("POST", f"{self.url}/", {call.verb.message: fields}).json()
        waited = call.fields.get("timeout", -1)
        seconds = waited / 1000 if waited > 0 else DEFAULT_WAIT_SECONDS
        answer = json.loads(self._wait(state, time.monotonic() + seconds)["result"])
        ((name, content),) = answer.items()
        if not content["success"]:
            raise ApiFailure(name, content["error"])
        return dict(content)

    def _wait(self, state: dict[str, Any], deadline: float) -> dict[str, Any]:
        pauses = list(POLL_SECONDS)
        while state["state"] != "Done":
            if time.monotonic() > deadline:
                raise CliError(f"the call {state['uuid']} is not finished; its result stays on the server")
            time.sleep(pauses[0] if len(pauses) == 1 else pauses.pop(0))
            state = self._request("GET", f"{self.url}/result/{state['uuid']}").json()
        return state

    def _request(self, method: str, url: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = httpx.request(method, url, json=body, timeout=60, trust_env=False)
        except httpx.HTTPError as error:
            text = f"{self.url} cannot be reached ({error}). Is the management server running?"
            raise CliError(text) from error
        if response.status_code != httpx.codes.OK:
            raise CliError(f"{url} answered {response.status_code}: {response.text[:500]}")
        return response
