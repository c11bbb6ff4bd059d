"""A node's installed product, by its own control command."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from installer.nodes.inventory import Node
from installer.nodes.ssh import Remote, printable
from installer.nodes.visit import must
from payload.errors import BusyError, IntegrityError, StepError

_LOOK = 120.0
_ACT = 1800.0
"""Seconds until a node has stopped, started or gone back."""
_PAUSE = 1.0


class Status(BaseModel):
    """What is needed of `NAME-ctl status --json`."""

    model_config = ConfigDict(frozen=True, strict=True)

    version: str
    healthy: bool | None
    busy: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """The product `product` on `node`."""

    remote: Remote
    node: Node
    product: str

    def status(self) -> Status:
        """What runs there, once no run is at work: one that lost whoever commanded it still goes to its own end.

        Raises:
            SealiftError: it cannot be asked, says something odd, or that run does not end.
        """
        deadline = time.monotonic() + _ACT
        while (found := self._look()).busy is not None:
            if time.monotonic() > deadline:
                raise BusyError("node-busy", f"{self.node.name}: another run is at work (process {found.busy})")
            time.sleep(_PAUSE)
        return found

    def _look(self) -> Status:
        done = must(self.remote, self.node, self._ctl("status", "--json"), timeout=_LOOK)
        try:
            return Status.model_validate(json.loads(done.output))
        except (ValueError, ValidationError) as error:
            said = printable(str(error))
            raise IntegrityError("node-status-odd", f"{self.node.name} gave no status", details=said) from error

    def stop(self) -> None:
        """Stop it.

        Raises:
            SealiftError: that failed.
        """
        self._act("stop")

    def start(self, version: str) -> None:
        """Start it, and see that it is `version`, and answers.

        Raises:
            SealiftError: that failed, or is not so.
        """
        self._act("start")
        found = self.status()
        if found.version != version:
            raise StepError("node-ill", f"{self.node.name} was started, and runs {found.version} instead of {version}")
        if found.healthy is False:
            raise StepError("node-ill", f"{self.node.name} was started, runs {version}, and does not answer")

    def roll_back(self, version: str) -> None:
        """Go back to `version`.

        Raises:
            SealiftError: that failed.
        """
        self._act("rollback", "--to", version, "-y")

    def _act(self, *words: str) -> None:
        done = self.remote.run(self.node, self._ctl(*words), timeout=_ACT)
        if done.returncode != 0:
            said = printable(done.errors or done.output)
            raise StepError("node-failed", f"{self.node.name}: {words[0]} ended with {done.returncode}", details=said)

    def _ctl(self, *words: str) -> Sequence[str]:
        return (f"/usr/local/bin/{self.product}-ctl", *words)
