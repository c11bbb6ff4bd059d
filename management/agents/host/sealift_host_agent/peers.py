"""Calls from one host's agent to another's, which know the same token."""

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from .calls import Body, CallError, left

MAX_ANSWER = 1 << 20


class RefusedError(CallError):
    """The other agent says that it did not do it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The agent at `address`. All host agents listen on the same port."""

    address: str
    port: int
    token: str

    def call(self, path: str, body: Body) -> Body:
        """Have the other agent do `path` in the time that is left.

        Raises:
            RefusedError: it did not do it.
            CallError: nobody knows whether it did.
        """
        seconds = left()
        link = HTTPConnection(self.address, self.port, timeout=seconds)
        headers = {"Authorization": f"Bearer {self.token}", "timeoutseconds": f"{seconds:.3f}"}
        try:
            link.request("POST", path, json.dumps(body), headers)
            answer = link.getresponse()
            said = json.loads(answer.read(MAX_ANSWER)) if answer.status == 200 else {"error": f"HTTP {answer.status}"}
        except (OSError, HTTPException, ValueError) as error:
            raise CallError(f"host {self.address}: {error or type(error).__name__}") from error
        finally:
            link.close()
        if not isinstance(said, dict) or said.get("success") is not True:
            why = said.get("error") if isinstance(said, dict) else "its answer is no object"
            raise RefusedError(f"host {self.address}: {why}")
        return said
