"""The table of all checks: what `payload.requirements` knows by name, this finds."""

from __future__ import annotations

from collections.abc import Mapping

from installer.preflight import disk, machine, names, python, session, software
from installer.preflight.model import Find, Result, Subject, finding
from installer.preflight.product import examine_for_product
from payload.requirements import KNOWN_CHECKS

FINDERS: Mapping[str, Find] = {
    "root": session.root,
    "os": machine.os,
    "arch": machine.arch,
    "libc": machine.libc,
    "kernel": machine.kernel,
    "kernel-modules": machine.kernel_modules,
    "kernel-settings": machine.kernel_settings,
    "container": machine.container,
    "cpus": machine.cpus,
    "cpu-flags": machine.cpu_flags,
    "memory": machine.memory,
    "swap": machine.swap,
    "python": python.python,
    "python-wheels": python.python_wheels,
    "python-venv": python.python_venv,
    "disk-space": disk.disk_space,
    "disk-inodes": disk.disk_inodes,
    "mount-read-only": disk.mount_read_only,
    "mount-noexec": disk.mount_noexec,
    "mount-nosuid": disk.mount_nosuid,
    "temp-folder": disk.temp_folder,
    "port": names.port,
    "hostname": names.hostname,
    "hostname-resolves": names.hostname_resolves,
    "fqdn": names.fqdn,
    "localhost": names.localhost,
    "ipv6-loopback": names.ipv6_loopback,
    "hosts-file": names.hosts_file,
    "name-server-routes": names.name_server_routes,
    "name-servers": names.name_servers,
    "clock": names.clock,
    "clock-future": names.clock_future,
    "clock-rtc": names.clock_rtc,
    "time-sync": names.time_sync,
    "timezone": names.timezone,
    "prefix-taken": session.prefix_taken,
    "unit-taken": session.unit_taken,
    "command-taken": session.command_taken,
    "user-taken": session.user_taken,
    "group-taken": session.group_taken,
    "tool": software.tool,
    "package-tool": software.package_tool,
    "rpmdb": software.rpmdb,
    "rpmdb-duplicates": software.rpmdb_duplicates,
    "package-lock": software.package_lock,
    "package-pending": software.package_pending,
    "package-conflict": software.package_conflict,
    "package-excludes": software.package_excludes,
    "systemd": software.systemd,
    "systemd-state": software.systemd_state,
    "systemd-jobs": software.systemd_jobs,
    "cgroups": software.cgroups,
    "selinux": software.selinux,
    "fapolicyd": software.fapolicyd,
    "firewall": names.firewall,
    "sshd": software.sshd,
    "virtualization": machine.virtualization,
    "virtualization-nested": machine.virtualization_nested,
    "entropy": machine.entropy,
    "device-files": machine.device_files,
    "ptys": machine.ptys,
    "limit-files": machine.limit_files,
    "limit-processes": machine.limit_processes,
    "pid-max": machine.pid_max,
    "inotify": machine.inotify,
    "umask": session.umask,
    "locale": session.locale,
    "root-home": session.root_home,
    "path": session.path,
    "preload": machine.preload,
    "proxy": session.proxy,
}


def examine(subject: Subject) -> tuple[Result, ...]:
    """The result of every check that is not off, the product's own last."""
    wants = subject.wants
    known = tuple(_examine(name, subject) for name in KNOWN_CHECKS if wants.level(name) != "off")
    return (*known, *(examine_for_product(check, subject) for check in wants.check))


def _examine(name: str, subject: Subject) -> Result:
    level = subject.wants.level(name)
    findings = tuple(finding(name, misfit, strict=level == "strict") for misfit in FINDERS[name](subject))
    return Result(name, KNOWN_CHECKS[name].about, level, findings)
