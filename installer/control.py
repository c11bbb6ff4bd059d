"""What `<product>-ctl` does with an installed product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from installer.control_recovery import gone_on
from installer.cut_off_views import unfinished_lines, unfinished_row
from installer.elsewhere import configured, copyable
from installer.installed import Installed, carry_out, recovered, site_of
from installer.layout import Layout
from installer.lock import exclusive, holder
from installer.offer import Offer
from installer.packages import removable
from installer.plan import Plan
from installer.planning import plan_rollback, plan_uninstall
from installer.recovery import unfinished
from installer.report import final_report
from installer.resuming import command_digest, leave
from installer.state import ReleaseRecord, State
from installer.steps import AwaitHealth, Host
from installer.steps.saved import kept
from installer.steps.service import StartUnits, StopUnits, unit_states
from installer.views import View
from payload.errors import SealiftError, UsageError
from repos.addresses import listening_address
from repos.dnf import detect
from repos.repomd import REPOMD


def status(installed: Installed) -> View:
    """What runs."""
    offer, layout, state = installed.offer(), installed.layout, installed.state
    units = unit_states(offer.startable, installed.host)
    answering = _answers(offer, installed.host)
    busy = holder(layout)
    waiting = () if busy else unfinished(layout)
    body = {
        "product": layout.product,
        "version": str(state.current),
        "prefix": str(layout.prefix),
        "units": units,
        "healthy": answering,
        "busy": busy,
        "unfinished": [unfinished_row(cut, layout) for cut in waiting],
    }
    lines = [f"{offer.manifest.product.title} {state.current} in {layout.prefix}"]
    lines += [f"  {unit}: {word}" for unit, word in units.items()]
    if answering is not None:
        lines.append(f"  {offer.health_url}: {'answers' if answering else 'does not answer'}")
    if busy:
        lines.append(f"  a run is at work (process {busy})")
    lines += [line for cut in waiting for line in unfinished_lines(cut, layout)]
    return View(body, tuple(lines))


def releases(installed: Installed) -> View:
    """What lies here."""
    rows = [
        {
            "version": str(record.version),
            "current": record.version == installed.state.current,
            "installed-at": record.installed_at,
            "bundle": record.bundle,
            "can-roll-back-to": _can_go_back(record, installed.state),
        }
        for record in installed.state.releases
    ]
    lines = (
        f"{'*' if row['current'] else ' '} {row['version']:<12} installed {row['installed-at']}"
        f"{'  (rollback possible)' if row['can-roll-back-to'] else ''}"
        for row in rows
    )
    return View(rows, tuple(lines))


def start(installed: Installed) -> tuple[str, ...]:
    """Start the product and wait until it answers."""
    with exclusive(installed.layout):
        installed = recovered(installed)
        offer = installed.offer()
        step = StartUnits(units=offer.startable, reason="asked for")
        step.apply(installed.host, step.prepare(installed.host))
        if (health := _health_step(offer)) is not None:
            health.apply(installed.host, health.prepare(installed.host))
    return status(installed).lines


def stop(installed: Installed) -> tuple[str, ...]:
    """Stop the product."""
    with exclusive(installed.layout):
        installed = recovered(installed)
        step = StopUnits(units=installed.offer().startable, reason="asked for")
        step.apply(installed.host, step.prepare(installed.host))
    return status(installed).lines


def rollback(installed: Installed, to: str | None, confirm: Callable[[Plan], bool]) -> tuple[str, ...]:
    """Go back to a release that lies here, with its database and configuration. Needs no network and no bundle.

    Raises:
        UsageError: there is no such release, or the operator declined.
        SealiftError: it failed; the type says what became of the host.
    """
    asked = command_digest("rollback", to)
    with exclusive(installed.layout):
        if finished := gone_on(installed, asked):
            return finished
        installed = recovered(installed)
        record = choose_target(installed.state, to)
        current = installed.offer(downgrade_to=record.version)
        target = installed.offer(record.version, downgrade_to=installed.state.current)
        snapshot = kept(Path(record.config_snapshot)) if record.config_snapshot else None
        files = snapshot.files if snapshot else ()
        elsewhere = _data_elsewhere(installed.layout, current)
        served = configured(installed.layout, current.manifest)
        site = replace(site_of(installed), elsewhere=copyable(served, installed.sink))
        plan = plan_rollback(site, current, target, installed.state, files, elsewhere=elsewhere)
        done = carry_out(installed, plan, confirm, asked)
    report = final_report("rollback", installed.layout, target, generated=(), before=installed.state, done=done)
    left = "newer" if record.version < installed.state.current else "older"
    what = "configuration is" if elsewhere else "database and configuration are"
    return (*report, f"The {left} {what} in {installed.layout.kept(plan.run)}")


def uninstall(installed: Installed, *, purge: bool, confirm: Callable[[Plan], bool]) -> tuple[str, ...]:
    """Remove the product; with `purge` its configuration, data, logs and user too.

    Raises:
        UsageError: the operator declined.
        SealiftError: it failed; the type says what became of the host.
    """
    layout = installed.layout
    asked = command_digest("uninstall", purge)
    with exclusive(layout):
        if finished := gone_on(installed, asked):
            return finished
        installed = recovered(installed)
        state = installed.state
        packages = removable(detect(), installed.host, state.packages_added) if state.packages_added else ()
        plan = plan_uninstall(site_of(installed), installed.offer(), state, packages, purge=purge)
        carry_out(installed, plan, confirm, asked)
        return leave(layout, plan)


def serve_repository(folder: Path, listen: str) -> None:
    """Serve the repository in `folder` at `listen` (HOST:PORT) until the process is ended.

    Raises:
        UsageError: `listen` is not free or no address, or there is no repository.
    """
    from repos.serving import FolderFiles, RepositoryServer  # noqa: PLC0415 - see installer.served

    if not (folder / REPOMD).is_file():
        raise UsageError("no-repository", f"{folder} is no repository", details=f"there is no {folder / REPOMD}")
    try:
        server = RepositoryServer(FolderFiles(folder), listening_address(listen))
    except (ValueError, OSError) as error:
        raise UsageError("bad-address", f"cannot answer at {listen}", details=str(error)) from error
    with server:
        server.serve_forever()


def choose_target(state: State, to: str | None) -> ReleaseRecord:
    """The release to go back to: `to`, or the newest one below the current.

    Raises:
        UsageError: there is none, it is the current one, or nothing was kept for it.
    """
    possible = [record for record in state.releases if _can_go_back(record, state)]
    names = ", ".join(str(record.version) for record in possible) or "none"
    if to is None:
        older = [record for record in possible if record.version < state.current]
        if not older:
            raise UsageError("no-older-release", f"there is no release below {state.current} to go back to")
        return max(older, key=lambda record: record.version)
    found = next((record for record in possible if str(record.version) == to), None)
    if found is None:
        raise UsageError("release-unknown", f"cannot go back to {to}", details=f"possible: {names}")
    return found


def _data_elsewhere(layout: Layout, offer: Offer) -> bool:
    """Does the product keep its data out of the installer's reach?"""
    database = offer.manifest.server.database
    return database is not None and not (layout.data_dir / database.path).exists()


def _can_go_back(record: ReleaseRecord, state: State) -> bool:
    return record.version != state.current and record.config_snapshot is not None


def _health_step(offer: Offer) -> AwaitHealth | None:
    health = offer.manifest.server.health
    if health is None or offer.health_url is None:
        return None
    return AwaitHealth(url=offer.health_url, timeout=health.timeout, units=offer.startable, reason="asked for")


def _answers(offer: Offer, host: Host) -> bool | None:
    if (step := _health_step(offer)) is None:
        return None
    try:
        once = replace(step, timeout=0.0, units=())
        once.apply(host, once.prepare(host))
    except SealiftError:
        return False
    return True
