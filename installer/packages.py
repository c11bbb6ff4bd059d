"""Which packages may go again when the product goes, which could come back from what lies on the host, and whether
those are there that a bundle leaves to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from installer.steps import Host
from installer.steps.packages import record_name
from installer.steps.stage import INDEX_NAME
from payload.errors import IntegrityError, PreflightError
from payload.index import read_index
from payload.model import Index
from repos.dnf import PackageManager
from repos.nevra import Nevra
from repos.offline import PACKAGES_FOLDER


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


def kept_packages(release: Path) -> frozenset[Nevra]:
    """The packages whose files lie in a release folder: what undoing an upgrade finds. None in a folder that is not
    there, or that is too damaged to be taken packages from."""
    try:
        lock = read_index((release / INDEX_NAME).read_bytes()).lock
    except (OSError, IntegrityError):
        return frozenset()
    lying = (rpm for rpm in lock.rpms if (release / PACKAGES_FOLDER / rpm.filename).is_file())
    return frozenset(Nevra.parse(rpm.nevra) for rpm in lying)


def check_left_packages(index: Index, headers: Mapping[Nevra, str]) -> None:
    """See that this host has installed what a bundle for one host leaves to it. `headers`: of the installed packages.

    Raises:
        PreflightError: packages are missing or other ones; names what each would need.
    """
    have = {str(nevra): header for nevra, header in headers.items()}
    left = index.left_to_host
    missing = [rpm for rpm in index.lock.rpms if rpm.digest in left and have.get(rpm.nevra) != left[rpm.digest].header]
    if not missing:
        return
    raise PreflightError(
        "host-changed",
        f"{len(missing)} packages that this bundle leaves to the host are not installed here as its plan said;"
        " nothing was changed",
        details="\n".join(f"{rpm.nevra}: needs {rpm.filename} ({rpm.size} bytes, {rpm.digest})" for rpm in missing),
        remedy="install these packages again; or use the full bundle, or one that is built for a new plan of this host",
    )


def _needed(errors: str) -> tuple[str, ...]:
    """Capabilities in rpm's lines `CAPABILITY is needed by (installed) PACKAGE`."""
    lines = (line.strip() for line in errors.splitlines() if " is needed by (installed) " in line)
    return tuple(line.split(" is needed by ")[0].split(" ")[0] for line in lines)


def _providers(capability: str, host: Host, among: set[Nevra]) -> set[Nevra]:
    found = host.run(("rpm", "-q", "--qf", "%{NAME}\n", "--whatprovides", capability), check=False).output.split()
    return {nevra for nevra in among if nevra.name in found}


def _sorted(packages: Iterable[Nevra]) -> tuple[Nevra, ...]:
    return tuple(sorted(packages, key=lambda nevra: nevra.key))
