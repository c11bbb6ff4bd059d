"""The table of all checks."""

from __future__ import annotations

from installer.preflight import disk, host
from installer.preflight.model import Check, Finding, Subject, run_checks

CHECKS: tuple[Check, ...] = (
    Check("root", "only root may change the host", host.root),
    Check("target", "operating system, architecture and Python fit", host.target),
    Check("python-wheels", "the bundle's wheels are made for this Python", host.python_wheels),
    Check("python-venv", "python3 can make environments", host.python_venv),
    Check("memory", "enough memory", host.memory),
    Check("disk", "enough room and inodes for what this run writes", disk.disk),
    Check("mounts", "nothing is mounted read-only or noexec", disk.mounts),
    Check("ports", "the product's ports are free", host.ports),
    Check("systemd", "systemd runs", host.systemd),
    Check("tools", "the commands that the installer calls are there", host.tools),
    Check("packages", "package database and lock are usable", host.packages),
    Check("clock", "the clock is not before the bundle's time", host.clock),
    Check("localhost", "localhost resolves", host.localhost),
    Check("commands", "the product's commands replace nobody else's", host.commands),
)


def examine(subject: Subject) -> tuple[Finding, ...]:
    """All findings about the host, strict ones first."""
    return tuple(sorted(run_checks(CHECKS, subject), key=lambda finding: not finding.strict))
