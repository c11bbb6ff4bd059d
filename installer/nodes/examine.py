"""Preflight on all nodes at once: each looks at itself, by the bundle's own runtime, and what it says is checked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installer.nodes.excerpt import pack_excerpt
from installer.nodes.inventory import Inventory, Node
from installer.nodes.ssh import Remote, printable
from installer.nodes.visit import visiting
from installer.opened import Opened
from installer.preflight.report import HostReport, read_report, reported_host
from installer.request import Request
from payload.errors import ExitCode, IntegrityError, SealiftError, UsageError
from payload.events import Note, stage
from templates.contexts import ReportedHost

_AT_ONCE = 16
_PATIENCE = 900.0
"""Seconds until a node has looked at itself."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What became of a node: its report, or why there is none."""

    node: Node
    report: HostReport | None
    problem: str = ""

    @property
    def fits(self) -> bool:
        """The node can be worked on."""
        return self.report is not None and self.report.fits

    @property
    def verdict(self) -> str:
        """For people."""
        return "cannot be looked at" if self.report is None else self.report.verdict

    def body(self) -> dict[str, Any]:
        """For programs."""
        report = None if self.report is None else self.report.body()
        return {"name": self.node.name, "address": self.node.address, "report": report, "problem": self.problem or None}

    def reported(self) -> ReportedHost:
        """For the page."""
        if self.report is None:
            return ReportedHost(self.node.name, fits=False, verdict=self.verdict, problem=self.problem)
        return reported_host(self.report, self.node.name)


def examine_nodes(opened: Opened, inventory: Inventory, remote: Remote) -> tuple[Examined, ...]:
    """Look at every node, all at once; in the inventory's order. Changes nothing.

    Raises:
        UsageError: the bundle cannot be sent.
    """
    with tempfile.TemporaryDirectory(prefix="sealift-nodes-") as name:
        archive = Path(name) / "excerpt.tar.gz"
        with stage(opened.sink, "nodes", f"look at {len(inventory.hosts)} nodes"):
            pack_excerpt(opened.bundle, archive)
            return on_all(inventory.hosts, lambda node: _examined(opened, node, remote, archive))


def on_all(nodes: Sequence[Node], work: Callable[[Node], Examined]) -> tuple[Examined, ...]:
    """Do `work` for all nodes, many at once."""
    with ThreadPoolExecutor(min(_AT_ONCE, len(nodes))) as pool:
        return tuple(pool.map(work, nodes))


def _examined(opened: Opened, node: Node, remote: Remote, archive: Path) -> Examined:
    try:
        found = Examined(node, _report(opened, node, remote, archive))
    except SealiftError as error:
        found = Examined(node, None, str(error))
    opened.sink.emit(Note(f"{node.name}: {found.verdict}", "info" if found.fits else "warning"))
    return found


def _report(opened: Opened, node: Node, remote: Remote, archive: Path) -> HostReport:
    with visiting(remote, node) as visit:
        visit.unpack(visit.send(archive))
        words = words_for(opened.request, visit.send)
        argv = ("bash", f"{visit.folder}/{opened.bundle.path.name}", *words, "--preflight", "--json")
        done = visit.run(argv, timeout=_PATIENCE)
    if done.returncode not in {ExitCode.OK, ExitCode.PREFLIGHT}:
        said = printable(done.errors)
        raise UsageError("node-refused", f"{node.name}: preflight there ended with {done.returncode}", details=said)
    try:
        report = read_report(done.output)
    except ValueError as error:
        raise IntegrityError("node-report-odd", f"{node.name} gave no report", details=printable(str(error))) from error
    product = opened.bundle.index.manifest.product
    if (report.product, report.version) != (product.name, str(product.version)):
        raise IntegrityError("node-report-odd", f"{node.name} reports on {report.product} {report.version}")
    return report


def words_for(request: Request, send: Callable[[Path], str]) -> tuple[str, ...]:
    """The options of `request` that are a node's too; files that they name are sent with `send`."""
    given = (
        ("-o", request.offline),
        ("-u", request.upgrade),
        ("--bundle-first", request.bundle_first),
        ("--allow-removals", request.allow_removals),
        ("--allow-irreversible", request.allow_irreversible),
        ("--allow-older", request.allow_older),
    )
    named = (("-R", request.mirror), ("-r", request.prefix))
    files = (("--mirrors", request.mirrors_file), ("--config", request.answers_file), ("--key", request.key))
    return (
        *(word for word, wanted in given if wanted),
        *(part for word, value in named if value is not None for part in (word, str(value))),
        *(part for word, file in files if file is not None for part in (word, send(file))),
    )
