"""Decisions about packages that need a look at the host: which mirror, what is missing, what may go again."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

from installer.facts import os_release
from installer.steps import Host
from installer.steps.packages import record_name
from payload.model import Manifest
from repos.dnf import PackageManager
from repos.mirrors import AUTO, mirror_repositories
from repos.nevra import Nevra
from repos.offline import RepositoryFile
from repos.probing import rank_mirrors


def mirrors_to_try(
    manifest: Manifest, choice: str | None, release: Path, *, needed: bool
) -> tuple[RepositoryFile, ...]:
    """The repositories that `-R` means, best first: one mirror, or with `auto` all that answer. None without `-R`.

    Nothing is asked of mirrors unless they are `needed`.

    Raises:
        UsageError: there is no such mirror.
        ResolveError: `auto`, and no mirror answers.
    """
    if choice is None or (choice == AUTO and not needed):
        return ()
    names = rank_mirrors(manifest, _variables()).usable if choice == AUTO else (choice,)
    return tuple(mirror_repositories(manifest, name, release) for name in names)


def removable(manager: PackageManager, host: Host, names: Iterable[str]) -> tuple[Nevra, ...]:
    """Those of the packages `names` that nothing outside of them needs."""
    wanted = set(names)
    chosen = {nevra for nevra in manager.installed() if record_name(nevra) in wanted}
    while chosen:
        found = host.run((*manager.erase_argv(_sorted(chosen)), "--test"), check=False)
        if found.returncode == 0:
            return _sorted(chosen)
        needed = {nevra for name in _needed(found.errors) for nevra in chosen & _providers(name, host, chosen)}
        if not needed:
            return ()
        chosen -= needed
    return ()


def _needed(errors: str) -> tuple[str, ...]:
    """Capabilities in rpm's lines `CAPABILITY is needed by (installed) PACKAGE`."""
    lines = (line.strip() for line in errors.splitlines() if " is needed by (installed) " in line)
    return tuple(line.split(" is needed by ")[0].split(" ")[0] for line in lines)


def _providers(capability: str, host: Host, among: set[Nevra]) -> set[Nevra]:
    found = host.run(("rpm", "-q", "--qf", "%{NAME}\n", "--whatprovides", capability), check=False).output.split()
    return {nevra for nevra in among if nevra.name in found}


def _sorted(packages: Iterable[Nevra]) -> tuple[Nevra, ...]:
    return tuple(sorted(packages, key=lambda nevra: nevra.key))


def _variables() -> dict[str, str]:
    """What dnf puts for the variables of a mirror's URL."""
    own = Path("/etc/dnf/vars")
    variables = {path.name: path.read_text(encoding="utf-8").strip() for path in own.glob("*")} if own.is_dir() else {}
    defaults = {"basearch": platform.machine(), "arch": platform.machine()}
    release = os_release(Path("/etc/os-release")).get("VERSION_ID", "")
    return defaults | {"releasever": release} | variables
