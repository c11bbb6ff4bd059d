"""The commands about several nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from installer import screen
from installer.lock import alone
from installer.nodes.examine import Examined, examine_nodes
from installer.nodes.inventory import read_inventory
from installer.nodes.record import load_record, record_path
from installer.nodes.ssh import OpenSsh
from installer.nodes.upgrade import NodesUpgrade
from installer.opened import Opened, open_verified
from installer.preflight.report import html_report
from installer.request import Request
from installer.views import View
from payload.errors import ExitCode, PreflightError, UsageError


def run(request: Request, bundle: Path) -> ExitCode:
    """Carry out `request` on the nodes of its inventory and print the result.

    Raises:
        SealiftError: it was refused, or failed; the type says what became of the nodes.
    """
    if request.hosts is None:
        raise UsageError("no-inventory", "there is no inventory", remedy="--hosts FILE")
    inventory = read_inventory(request.hosts)
    with screen.events(request) as sink:
        opened = open_verified(request, bundle, sink)
        remote = OpenSsh(inventory)
        if request.action == "install":
            with alone(request.hosts):
                lines = _upgrade(opened, NodesUpgrade(opened, inventory, remote, record_path(request.hosts)))
            screen.show(View({"upgraded": list(lines)}, lines), request.json)
            return ExitCode.OK
        found = examine_nodes(opened, inventory, remote)
    screen.show(preflight_view(found), request.json)
    _write_page(opened, found)
    return ExitCode.OK if all(each.fits for each in found) else ExitCode.PREFLIGHT


def _upgrade(opened: Opened, upgrade: NodesUpgrade) -> tuple[str, ...]:
    """Upgrade all nodes, if all of them fit and somebody wants it.

    Raises:
        PreflightError: one does not fit.
        SealiftError: see `NodesUpgrade.run`.
    """
    record = load_record(upgrade.record)
    if record is not None and record.undoing:  # back is the only way, whether nodes fit or not
        return upgrade.run()
    found = examine_nodes(opened, upgrade.inventory, upgrade.remote)
    if not all(each.fits for each in found):
        raise PreflightError(
            "nodes-do-not-fit",
            "not all nodes fit; nothing was changed",
            details="\n".join(preflight_view(found).lines),
            remedy="put them right and run the same command again",
        )
    names = ", ".join(node.name for node in upgrade.inventory.hosts)
    dialogue = screen.dialogue(opened.request)
    if not opened.request.yes and (dialogue is None or not dialogue.confirm(f"upgrade {names} now?")):
        raise UsageError("declined", "nothing was changed", remedy="-y does not ask")
    return upgrade.run()


def preflight_view(found: Sequence[Examined]) -> View:
    """One table over all nodes, then what does not fit on each."""
    body = {"fits": all(each.fits for each in found), "hosts": [each.body() for each in found]}
    return View(body, (*_table(found), *(line for each in found for line in _details(each))))


def _table(found: Sequence[Examined]) -> Iterator[str]:
    width = max(len("node"), *(len(each.node.name) for each in found))
    yield f"{'node':<{width}}  {'must':>4}  {'advice':>6}  {'passed':>6}  verdict"
    for each in found:
        findings, passed = (each.report.findings, each.report.passed) if each.report else ((), ())
        strict = sum(finding.strict for finding in findings)
        counts = f"{strict:>4}  {len(findings) - strict:>6}  {len(passed):>6}"
        yield f"{each.node.name:<{width}}  {counts}  {each.verdict}"


def _details(each: Examined) -> Iterator[str]:
    lines = each.problem.splitlines() if each.report is None else each.report.lines()[:-1]
    if lines:
        yield f"\n{each.node.name} ({each.node.address})"
        yield from (f"  {line}" for text in lines for line in text.splitlines())


def _write_page(opened: Opened, found: Sequence[Examined]) -> None:
    if opened.request.report is not None:
        product = opened.bundle.index.manifest.product
        page = html_report(f"{product.title} {product.version}", (each.reported() for each in found))
        screen.write(opened.request.report, page)
