"""A stay on a node: a folder there that is gone afterwards, with what was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from installer.nodes.inventory import Node
from installer.nodes.ssh import Remote, printable
from payload import effects
from payload.errors import SealiftError, UsageError

_TEMPLATE = "/var/tmp/sealift-nodes-XXXXXXXXXX"  # noqa: S108 - mktemp on the node fills it in
_SHORT = 60.0
"""Seconds for small things."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A folder on a node."""

    remote: Remote
    node: Node
    folder: str

    def send(self, file: Path) -> str:
        """Copy a file into the folder; returns where it is there."""
        target = f"{self.folder}/{file.name}"
        self.remote.send(self.node, file, target)
        return target

    def unpack(self, archive: str) -> None:
        """Unpack a tar that was sent, in the folder."""
        self.must(("tar", "-C", self.folder, "-xzf", archive), root=False)

    def run(self, argv: Sequence[str], *, timeout: float) -> effects.Completed:
        """Run a command as root; see `Remote.run`."""
        return self.remote.run(self.node, argv, timeout=timeout)

    def must(self, argv: Sequence[str], *, timeout: float = _SHORT, root: bool = True) -> effects.Completed:
        """Run a command that has to end well.

        Raises:
            SealiftError: it did not.
        """
        return must(self.remote, self.node, argv, timeout=timeout, root=root)


def must(
    remote: Remote, node: Node, argv: Sequence[str], *, timeout: float = _SHORT, root: bool = True
) -> effects.Completed:
    """Run a command on `node` that has to end well.

    Raises:
        SealiftError: it did not, or the node cannot be reached.
    """
    done = remote.run(node, argv, timeout=timeout, root=root)
    if done.returncode != 0:
        said = printable(done.errors or done.output)
        raise UsageError("node-command-failed", f"{node.name}: {argv[0]} exited with {done.returncode}", details=said)
    return done


@contextmanager
def visiting(remote: Remote, node: Node) -> Iterator[Visit]:
    """Stay on `node`.

    Raises:
        SealiftError: it cannot be reached, or gives no folder.
    """
    folder = must(remote, node, ("mktemp", "-d", _TEMPLATE), root=False).output.strip()
    if not re.fullmatch(_TEMPLATE.rstrip("X") + "[A-Za-z0-9]{10}", folder):
        raise UsageError("node-folder-odd", f"{node.name} gives no folder to work in", details=printable(folder))
    try:
        yield Visit(remote, node, folder)
    except BaseException:
        with suppress(SealiftError):  # what went wrong first is the reason
            must(remote, node, ("rm", "-rf", folder))
        raise
    must(remote, node, ("rm", "-rf", folder))
