"""Checks of the host itself: who runs this, which system, Python, memory, ports, tools."""

from __future__ import annotations

import time
from collections.abc import Iterator

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from installer.preflight.model import Finding, Subject

_DAY = 86_400


def root(subject: Subject) -> Iterator[Finding]:
    """Only root may change the host."""
    if subject.facts.uid != 0:
        yield Finding("root", f"user id {subject.facts.uid}", "root", "run it with sudo, or as root")


def target(subject: Subject) -> Iterator[Finding]:
    """The manifest's targets: system, architecture, Python."""
    facts, targets = subject.facts, subject.offer.manifest.targets
    known = {facts.os_id, *facts.os_like}
    of_os = [each for each in targets if known & set(each.os)]
    if not of_os:
        wanted = ", ".join(sorted({name for each in targets for name in each.os}))
        yield Finding("os", f"{facts.os_name} ({facts.os_id})", wanted, "use a host with one of these systems")
    if facts.arch not in {each.arch for each in targets}:
        wanted = ", ".join(sorted({each.arch for each in targets}))
        yield Finding("arch", facts.arch, wanted, "get the bundle for this architecture")
    if subject.offer.manifest.brings_python:
        return
    ranges = [each.python for each in of_os or targets if each.python]
    if facts.python is None:
        yield Finding("python", "no python3", " or ".join(map(str, ranges)), "install python3 from the system's media")
    elif not any(each.contains(Version(facts.python), prereleases=True) for each in ranges):
        wanted = " or ".join(map(str, ranges))
        yield Finding(
            "python", f"python3 is {facts.python}", wanted, "install a fitting python3 from the system's media"
        )


def python_wheels(subject: Subject) -> Iterator[Finding]:
    """Compiled wheels are made for one minor release of Python, which the builder chose."""
    python = subject.facts.python
    if python is None or subject.offer.manifest.brings_python:
        return
    major, minor = Version(python).release[:2]
    unfit = [name for name in subject.offer.wheels if not _runs(name, (major, minor))]
    if unfit:
        made_for = sorted({tag.interpreter for name in unfit for tag in parse_wheel_filename(name)[3]})
        yield Finding(
            "python-wheels",
            f"python3 is {python}",
            f"the Python that the wheels of this bundle are made for: {', '.join(made_for)} ({', '.join(unfit)})",
            f"use a host with that Python, or get a bundle made for Python {major}.{minor}",
        )


def _runs(wheel: str, python: tuple[int, int]) -> bool:
    """Interpreter and ABI of the wheel are those of `python`; the platform is the target's affair."""
    interpreter = f"cp{python[0]}{python[1]}"
    known = {*cpython_tags(python, platforms=("any",)), *compatible_tags(python, interpreter, ("any",))}
    fitting = {(tag.interpreter, tag.abi) for tag in known}
    return any((tag.interpreter, tag.abi) in fitting for tag in parse_wheel_filename(wheel)[3])


def python_venv(subject: Subject) -> Iterator[Finding]:
    """Some systems ship python3 without its venv module."""
    if subject.offer.manifest.brings_python:
        return
    if subject.facts.python is not None and not subject.facts.python_venv:
        yield Finding("python-venv", "python3 has no module venv", "python3 -m venv works", "install python3-venv")


def memory(subject: Subject) -> Iterator[Finding]:
    """Total memory."""
    wanted = subject.offer.manifest.preflight.memory_mb
    if subject.facts.memory_mb < wanted:
        yield Finding("memory", f"{subject.facts.memory_mb} MB", f"{wanted} MB", "give the host more memory")


def ports(subject: Subject) -> Iterator[Finding]:
    """Ports that the product will listen on; on an upgrade the old release itself has them."""
    if subject.mode != "install":
        return
    for port in subject.offer.manifest.preflight.ports:
        if port in subject.facts.ports:
            yield Finding("port", f"something listens on {port}", f"port {port} is free", f"ss -ltnp 'sport = :{port}'")


def systemd(subject: Subject) -> Iterator[Finding]:
    """Units need systemd as PID 1."""
    if subject.offer.units and not subject.facts.systemd:
        yield Finding("systemd", "systemd does not run here", "systemd as process 1", "boot the host with systemd")


def tools(subject: Subject) -> Iterator[Finding]:
    """Commands that steps call."""
    wanted = {"getent"} | ({"systemctl"} if subject.offer.units else set())
    wanted |= {"useradd", "userdel"} if subject.offer.manifest.user != "root" else set()
    wanted |= {"rpm"} if subject.packages_to_install else set()
    for tool in sorted(wanted - set(subject.facts.tools)):
        yield Finding(
            "tool", f"the command {tool} is missing", f"{tool} on PATH", f"install the package that has {tool}"
        )


def packages(subject: Subject) -> Iterator[Finding]:
    """The host's package tool works and is free."""
    if not subject.packages_to_install:
        return
    facts = subject.facts
    if facts.package_tool is None:
        yield Finding("package-tool", "no dnf", "dnf", "install dnf from the system's media")
    if "rpm" in facts.tools and facts.rpmdb != "ok":
        yield Finding("rpmdb", facts.rpmdb, "rpm -qa works", "rpm --rebuilddb")
    if facts.package_lock_holder is not None:
        holder = facts.package_lock_holder
        yield Finding(
            "package-lock", f"process {holder} holds dnf's lock", "nobody does", f"wait for it: ps -fp {holder}"
        )


def clock(subject: Subject) -> Iterator[Finding]:
    """A clock before the bundle was made is wrong: certificates and sessions would break."""
    if subject.facts.now + _DAY < subject.created:
        seen = time.strftime("%Y-%m-%d", time.gmtime(subject.facts.now))
        made = time.strftime("%Y-%m-%d", time.gmtime(subject.created))
        yield Finding(
            "clock", f"the clock says {seen}", f"not before {made}, when the bundle was made", "timedatectl set-time …"
        )


def localhost(subject: Subject) -> Iterator[Finding]:
    """Health checks and many services need the name localhost."""
    if not subject.facts.localhost_resolves:
        yield Finding(
            "localhost", "the name localhost does not resolve", "127.0.0.1", "add '127.0.0.1 localhost' to /etc/hosts"
        )


def commands(subject: Subject) -> Iterator[Finding]:
    """Somebody else's commands are not replaced."""
    for path in subject.foreign_commands:
        yield Finding(
            "command-taken", f"{path} is there and not of this product", "no such file", f"mv {path} {path}.old"
        )
