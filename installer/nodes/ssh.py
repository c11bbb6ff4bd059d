"""The one way to a node: the system's ssh and scp. Host keys are pinned, nobody is asked, what nodes say is bounded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from installer.nodes.inventory import Inventory, Node
from payload import effects
from payload.errors import CommandError, SealiftError, UsageError

OUTPUT_LIMIT = 8 << 20
"""No node may say more, in bytes."""
_SAID = 2000
"""Of what a node said, this many letters at its end are shown."""
_CONNECT = 10
"""Seconds until a node that does not answer is given up."""
_SSH_FAILED = 255


class Remote(Protocol):
    """What can be done with a node."""

    def run(self, node: Node, argv: Sequence[str], *, timeout: float, root: bool = True) -> effects.Completed:
        """Run a command on `node` as root, or as the user who logs in, whatever its exit code is.

        Raises:
            SealiftError: the node cannot be reached, says too much, or takes longer than `timeout` seconds.
        """

    def send(self, node: Node, file: Path, target: str) -> None:
        """Copy a file to the path `target` on `node`.

        Raises:
            SealiftError: that failed.
        """


@dataclass(frozen=True, slots=True)
class OpenSsh:
    """Nodes by OpenSSH."""

    inventory: Inventory

    def run(self, node: Node, argv: Sequence[str], *, timeout: float, root: bool = True) -> effects.Completed:
        """See `Remote`."""
        words = argv if node.user == "root" or not root else ("sudo", "-n", *argv)
        line = ("ssh", *self._options(node), "-p", str(node.port), f"{node.user}@{node.address}", shlex.join(words))
        try:
            done = effects.run(line, check=False, timeout=timeout, limit=OUTPUT_LIMIT)
        except CommandError as error:
            raise unreachable(node, error.details) from error
        if done.returncode == _SSH_FAILED:
            raise unreachable(node, printable(done.errors))
        return done

    def send(self, node: Node, file: Path, target: str) -> None:
        """See `Remote`."""
        host = f"[{node.address}]" if ":" in node.address else node.address
        where = ("-P", str(node.port), str(file), f"{node.user}@{host}:{target}")
        try:
            effects.run(("scp", "-q", "-p", *self._options(node), *where), timeout=_patience(file), limit=OUTPUT_LIMIT)
        except CommandError as error:
            raise unreachable(node, printable(error.details)) from error

    def _options(self, node: Node) -> tuple[str, ...]:
        known, key = self.inventory.known_hosts, node.key
        return (
            *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"ConnectTimeout={_CONNECT}"),
            *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3", "-o", "ClearAllForwardings=yes"),
            *(() if known is None else ("-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none")),
            *(() if key is None else ("-o", "IdentitiesOnly=yes", "-i", str(key))),
        )


def printable(text: str) -> str:
    """The last lines of what a node said, with nothing in them that moves a cursor."""
    said = text.strip()
    if len(said) > _SAID:
        said = "…\n" + said[-_SAID:].partition("\n")[2]
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in said)


def unreachable(node: Node, why: str) -> SealiftError:
    """The error for a node that cannot be asked."""
    remedy = f"try it: ssh -p {node.port} {node.user}@{node.address} true"
    if "Host key verification failed" in why or "HOST IDENTIFICATION HAS CHANGED" in why:
        remedy = (
            "compare its key with the node's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), then: "
            f"ssh-keyscan -p {node.port} {node.address} >>KNOWN-HOSTS"
        )
    return UsageError("node-unreachable", f"{node.name} ({node.address}) cannot be asked", details=why, remedy=remedy)


def _patience(file: Path) -> float:
    """Seconds for a file: at least a megabyte in each."""
    return 60 + file.stat().st_size / 1e6
