"""systemd, the clock that it may keep, and what guards the host."""

from __future__ import annotations

import time
from pathlib import Path

from installer.facts.model import Clock, Services
from installer.facts.reading import answer, number, text
from installer.steps import Host


def look_at_services(host: Host, root: Path) -> Services:
    """Look at the services; changes nothing."""
    running = (root / "run/systemd/system").is_dir()
    listed = answer(host, "systemctl", "list-units", "--state=failed", "--plain", "--no-legend") if running else None
    return Services(
        systemd=running,
        failed=tuple(line.split()[0] for line in (listed or "").splitlines() if "." in line),
        jobs=len(_waiting(host)) if running else 0,
        sshd=_has_sshd(host) if running else False,
        selinux=_selinux(Path("/sys/fs/selinux/enforce")),
        fapolicyd=answer(host, "systemctl", "is-active", "fapolicyd.service") == "active" if running else False,
    )


def look_at_clock(host: Host) -> Clock:
    """Look at the clocks; changes nothing."""
    synchronized = answer(host, "timedatectl", "show", "--property=NTPSynchronized", "--value")
    zone = Path("/etc/localtime")
    return Clock(
        now=int(time.time()),
        rtc=number(Path("/sys/class/rtc/rtc0/since_epoch")),
        synchronized={"yes": True, "no": False}.get(synchronized or ""),
        timezone=str(zone.resolve()) if zone.exists() else None,
    )


def _waiting(host: Host) -> set[str]:
    """The jobs that are not done within a second; others come and go, also with what looking itself starts."""
    if not (jobs := _jobs(host)):
        return set()
    time.sleep(1)
    return jobs & _jobs(host)


def _jobs(host: Host) -> set[str]:
    listed = answer(host, "systemctl", "list-jobs", "--no-legend") or ""
    return {words[0] for words in map(str.split, listed.splitlines()) if words and words[0].isdigit()}


def _has_sshd(host: Host) -> bool:
    units = ("sshd.service", "ssh.service", "sshd.socket", "ssh.socket")
    return any(answer(host, "systemctl", "is-active", unit) == "active" for unit in units)


def _selinux(enforce: Path) -> str:
    return {"1": "enforcing", "0": "permissive"}.get(text(enforce).strip(), "disabled")
