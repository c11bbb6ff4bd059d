"""Removing releases that nobody will go back to, with what was kept for going back to them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from installer.installed import Installed, carry_out, recovered, site_of
from installer.layout import Layout
from installer.lock import exclusive
from installer.parts import Site
from installer.plan import Plan
from installer.planning import plan_prune
from installer.state import ReleaseRecord, State
from installer.views import View
from payload.events import Note

_BLOCK = 512
"""Bytes that `st_blocks` counts by, whatever the file system's own are."""


@dataclass(frozen=True, slots=True)
class Prunable:
    """A release that may go, and all that goes with it."""

    record: ReleaseRecord
    paths: tuple[Path, ...]


def prunable(layout: Layout, state: State, keep: int) -> tuple[Prunable, ...]:
    """All releases but the current one and the `keep` newest of the others, oldest first. Pure.

    With a release goes what runs kept when it was left, unless a release that stays needs that.
    """
    others = sorted((each for each in state.releases if each.version != state.current), key=lambda each: each.version)
    going = others[: max(0, len(others) - keep)]
    needed = {path for each in state.releases if each not in going for path in _kept(layout, each)}
    return tuple(
        Prunable(each, (layout.release(each.version), *sorted(_kept(layout, each) - needed))) for each in going
    )


def prune(installed: Installed, keep: int, *, dry_run: bool, confirm: Callable[[Plan], bool]) -> View:
    """Remove what `prunable` says; with `dry_run` only say it. The next run undoes or finishes one that is cut off.

    Raises:
        UsageError: the operator declined.
        SealiftError: it failed; the type says what became of the host.
    """
    if dry_run:
        return _view(installed, prunable(installed.layout, installed.state, keep), done=False)
    with exclusive(installed.layout):
        installed = recovered(installed)
        chosen = prunable(installed.layout, installed.state, keep)
        view = _view(installed, chosen, done=bool(chosen))
        if chosen:
            carry_out(
                installed, _plan(site_of(installed), installed.state, chosen), _saying(installed, chosen, confirm)
            )
    return view


def freed(paths: Iterable[Path]) -> int:
    """Bytes on the disk that go with `paths`. A file that has another name elsewhere frees nothing."""
    seen: dict[tuple[int, int], tuple[int, int, int]] = {}
    for info in _files(paths):
        key = (info.st_dev, info.st_ino)
        names = seen.get(key, (0, 0, 0))[0] + 1
        seen[key] = (names, info.st_nlink, info.st_blocks * _BLOCK)
    return sum(size for names, links, size in seen.values() if names >= links)


def _plan(site: Site, state: State, chosen: tuple[Prunable, ...]) -> Plan:
    paths = tuple(dict.fromkeys(path for each in chosen for path in each.paths))
    return plan_prune(site, state, tuple(each.record for each in chosen), paths)


def _saying(
    installed: Installed, chosen: tuple[Prunable, ...], confirm: Callable[[Plan], bool]
) -> Callable[[Plan], bool]:
    """Show what goes before somebody is asked."""

    def ask(plan: Plan) -> bool:
        for line in _rows(chosen):
            installed.sink.emit(Note(line))
        return confirm(plan)

    return ask


def _view(installed: Installed, chosen: tuple[Prunable, ...], *, done: bool) -> View:
    size = freed(path for each in chosen for path in each.paths)
    rows = [
        {
            "version": str(each.record.version),
            "paths": [str(path) for path in each.paths],
            "bytes": freed(each.paths),
        }
        for each in chosen
    ]
    body = {"product": installed.layout.product, "removed": done, "releases": rows, "bytes": size}
    if not chosen:
        return View(body, ("There is no release to remove.",))
    word = "removed" if done else "that would go"
    return View(body, (*_rows(chosen), f"releases {word}: {len(chosen)}, {size / 1e6:,.1f} MB"))


def _rows(chosen: tuple[Prunable, ...]) -> Iterator[str]:
    for each in chosen:
        paths = ", ".join(map(str, each.paths))
        yield f"  {each.record.version}: {freed(each.paths) / 1e6:,.1f} MB in {paths}"


def _kept(layout: Layout, record: ReleaseRecord) -> set[Path]:
    """The folders of runs that kept something for going back to a release."""
    top = layout.state_dir / "backup"
    kept = (Path(text) for text in (record.database_backup, record.config_snapshot) if text)
    return {top / path.relative_to(top).parts[0] for path in kept if path.is_relative_to(top) and path != top}


def _files(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    for path in paths:
        for at, _, names in os.walk(path):
            for name in names:
                info = (Path(at) / name).lstat()
                if stat.S_ISREG(info.st_mode):
                    yield info
