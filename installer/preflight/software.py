"""Checks of the host's packages, tools and services."""

from __future__ import annotations

from collections.abc import Iterator

from installer.offer import Offer
from installer.preflight.model import Misfit, Subject

_SHOWN = 5


def wanted_tools(offer: Offer) -> frozenset[str]:
    """Commands that steps and the product call."""
    manifest = offer.manifest
    tools = {"getent", *manifest.preflight.tools} | ({"systemctl"} if offer.units else set())
    tools |= {"useradd", "userdel"} if manifest.user != "root" else set()
    return frozenset(tools | ({"rpm"} if offer.has_packages else set()))


def tool(subject: Subject) -> Iterator[Misfit]:
    """On the fixed PATH that children get."""
    for name in sorted(wanted_tools(subject.offer) - set(subject.facts.system.tools)):
        yield Misfit(f"the command {name} is missing", f"{name} on PATH", f"dnf install '*bin/{name}'")


def package_tool(subject: Subject) -> Iterator[Misfit]:
    """dnf, or what stands for it."""
    packages = subject.facts.packages
    if not subject.packages_to_install:
        return
    if packages.tool is None:
        yield Misfit("no dnf", "dnf", "install dnf from the system's media")
    elif packages.tool_fault is not None:
        yield Misfit(
            f"{packages.tool} does not start: {packages.tool_fault}", "it starts", f"{packages.tool} --version"
        )


def rpmdb(subject: Subject) -> Iterator[Misfit]:
    """Every query of it works, without complaints."""
    fault = subject.facts.packages.rpmdb_fault
    if subject.packages_to_install and "rpm" in subject.facts.system.tools and fault is not None:
        yield Misfit(fault, "rpm -qa works", "rpm --rebuilddb")


def rpmdb_duplicates(subject: Subject) -> Iterator[Misfit]:
    """A transaction that was cut off leaves the old and the new package."""
    if names := subject.facts.packages.duplicates:
        shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        yield Misfit(f"installed twice: {shown}", "once", "dnf remove --duplicates")


def package_lock(subject: Subject) -> Iterator[Misfit]:
    """dnf's own lock, or rpm's."""
    holder = subject.facts.packages.lock_holder
    if subject.packages_to_install and holder is not None:
        fix = f"wait for it: ps -fp {holder}"
        yield Misfit(f"process {holder} holds the package manager's lock", "nobody does", fix)


def package_pending(subject: Subject) -> Iterator[Misfit]:
    """The next boot, or the next run, would change packages under the product."""
    for path in subject.facts.packages.pending:
        yield Misfit(f"a package transaction waits: {path}", "none", "reboot to let it finish, or dnf offline clean")


def package_conflict(subject: Subject) -> Iterator[Misfit]:
    """By the manifest's `conflicts`."""
    for name in subject.facts.packages.conflicts:
        yield Misfit(f"the package {name} is installed", "it is not", f"dnf remove {name}")


def package_excludes(subject: Subject) -> Iterator[Misfit]:
    """What is excluded there is not excluded from the bundle's own packages, but people wonder."""
    excludes = subject.facts.packages.excludes
    if subject.packages_to_install and excludes is not None:
        yield Misfit(excludes, "no excludes", "look whether the product's packages are among them")


def systemd(subject: Subject) -> Iterator[Misfit]:
    """Units need systemd as PID 1."""
    if subject.offer.units and not subject.facts.services.systemd:
        yield Misfit("systemd does not run here", "systemd as process 1", "boot the host with systemd")


def systemd_state(subject: Subject) -> Iterator[Misfit]:
    """Something is wrong with this host already."""
    if failed := subject.facts.services.failed:
        shown = ", ".join(failed[:_SHOWN]) + (" …" if len(failed) > _SHOWN else "")
        yield Misfit(f"failed units: {shown}", "none", "systemctl --failed; mend them, or systemctl reset-failed")


def systemd_jobs(subject: Subject) -> Iterator[Misfit]:
    """Units that are started meanwhile wait behind them."""
    if jobs := subject.facts.services.jobs:
        yield Misfit(f"systemd has jobs that wait: {jobs}", "none", "systemctl list-jobs; wait for them")


def cgroups(subject: Subject) -> Iterator[Misfit]:
    """systemd keeps services in them."""
    if subject.offer.units and subject.facts.kernel.cgroups is None:
        yield Misfit("no control groups at /sys/fs/cgroup", "cgroup2", "mount -t cgroup2 none /sys/fs/cgroup")


def selinux(subject: Subject) -> Iterator[Misfit]:
    """By the manifest's `selinux`."""
    allowed, mode = subject.wants.selinux, subject.facts.services.selinux
    if allowed and mode not in allowed:
        fix = "setenforce 1" if allowed == ("enforcing",) else "setenforce 0, and SELINUX= in /etc/selinux/config"
        yield Misfit(f"SELinux is {mode}", " or ".join(allowed), fix)


def fapolicyd(subject: Subject) -> Iterator[Misfit]:
    """It knows only what came in packages."""
    if subject.facts.services.fapolicyd:
        prefix = subject.layout.prefix
        fix = f"fapolicyd-cli --file add {prefix}/ && fapolicyd-cli --update"
        yield Misfit("fapolicyd runs", f"it trusts what lies in {prefix}", fix)


def sshd(subject: Subject) -> Iterator[Misfit]:
    """The manifest lets a key in on this host."""
    if any(key.authorize for key in subject.offer.manifest.ssh_keys) and not subject.facts.services.sshd:
        yield Misfit("no SSH server runs", "sshd", "systemctl enable --now sshd")
