"""Checks of the machine and its system: target, processors, memory, kernel, devices."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.utils import parse_wheel_filename

from installer.preflight.model import Misfit, Subject

_LIBC_TAG = re.compile(r"manylinux_2_(\d+)_")
_LEGACY_TAGS = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}


def os(subject: Subject) -> Iterator[Misfit]:
    """ID or ID_LIKE is in a target."""
    system, targets = subject.facts.system, subject.offer.manifest.targets
    wanted = sorted({name for each in targets for name in each.os})
    if not {system.os_id, *system.os_like} & set(wanted):
        yield Misfit(f"{system.os_name} ({system.os_id})", ", ".join(wanted), "use a host with one of these systems")


def arch(subject: Subject) -> Iterator[Misfit]:
    """The architecture is in a target."""
    wanted = sorted({each.arch for each in subject.offer.manifest.targets})
    if subject.facts.system.arch not in wanted:
        yield Misfit(subject.facts.system.arch, ", ".join(wanted), "get the bundle for this architecture")


def libc(subject: Subject) -> Iterator[Misfit]:
    """A wheel runs from the C library on that its name tells."""
    needed = max((_libc_minor(name) for name in subject.offer.wheels), default=0)
    have = subject.facts.system.libc
    if needed and (have is None or _numbers(have) < (2, needed)):
        seen = "another C library than glibc" if have is None else f"glibc {have}"
        yield Misfit(seen, f"glibc 2.{needed}", "use a newer system, or ask for a bundle made for this one")


def _libc_minor(wheel: str) -> int:
    """The glibc 2.x that a wheel needs: of its platform tags, the least; 0 if it is not compiled."""
    platforms = [tag.platform for tag in parse_wheel_filename(wheel)[3]]
    minors = [int(found[1]) for platform in platforms if (found := _LIBC_TAG.match(platform))]
    minors += [minor for platform in platforms for name, minor in _LEGACY_TAGS.items() if platform.startswith(name)]
    return min(minors, default=0)


def kernel(subject: Subject) -> Iterator[Misfit]:
    """The kernel's version."""
    wanted, have = subject.wants.kernel, subject.facts.system.kernel
    if wanted is not None and _numbers(have) < _numbers(wanted):
        yield Misfit(f"Linux {have}", f"Linux {wanted} or newer", "boot a newer kernel")


def kernel_modules(subject: Subject) -> Iterator[Misfit]:
    """Modules that are loaded, or can be."""
    for name in sorted(set(subject.wants.kernel_modules) - set(subject.facts.kernel.modules)):
        yield Misfit(f"the kernel has no module {name}", f"{name} can be loaded", f"modprobe -v {name}")


def kernel_settings(subject: Subject) -> Iterator[Misfit]:
    """Some come with a module, and are not there before it is loaded."""
    for key in subject.facts.kernel.unknown_settings:
        fix = f"load the module that brings it and have it loaded at boot (/etc/modules-load.d); then: sysctl {key}"
        yield Misfit(f"the kernel has no setting {key}", "it can be set", fix)


def container(subject: Subject) -> Iterator[Misfit]:
    """Containers share a kernel that nothing in them can change."""
    if (kind := subject.facts.system.container) is not None:
        yield Misfit(f"this is a container ({kind})", "a host of its own", "install on the host, or on a machine")


def cpus(subject: Subject) -> Iterator[Misfit]:
    """Processors that this process may use."""
    have, wanted = subject.facts.system.cpus, subject.wants.cpus
    if have < wanted:
        yield Misfit(f"{have} processors", f"{wanted}", "give the host more processors")


def cpu_flags(subject: Subject) -> Iterator[Misfit]:
    """Features of the processor."""
    if missing := sorted(set(subject.wants.cpu_flags) - set(subject.facts.system.cpu_flags)):
        fix = "lscpu; use another processor, or let the hypervisor pass the feature on"
        yield Misfit(f"the processor lacks {', '.join(missing)}", ", ".join(subject.wants.cpu_flags), fix)


def memory(subject: Subject) -> Iterator[Misfit]:
    """Total memory."""
    have, wanted = subject.facts.system.memory_mb, subject.wants.memory_mb
    if have < wanted:
        yield Misfit(f"{have} MB", f"{wanted} MB", "give the host more memory")


def swap(subject: Subject) -> Iterator[Misfit]:
    """Total swap."""
    have, wanted = subject.facts.system.swap_mb, subject.wants.swap_mb
    if have < wanted:
        fix = f"fallocate -l {wanted}M /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile"
        yield Misfit(f"{have} MB of swap", f"{wanted} MB", fix)


def virtualization(subject: Subject) -> Iterator[Misfit]:
    """The device file answers as the kernel does."""
    state = subject.facts.kernel.virtualization
    if subject.wants.virtualization and state != "ok":
        nested = subject.facts.system.machine is not None
        where = "in the hypervisor, let this machine nest others" if nested else "in the firmware, allow virtualization"
        yield Misfit(
            state or "nobody looked", "virtual machines can run", f"{where}; then modprobe -a kvm_intel kvm_amd"
        )


def virtualization_nested(subject: Subject) -> Iterator[Misfit]:
    """Machines in machines are slow."""
    kind = subject.facts.system.machine
    if subject.wants.virtualization and kind is not None:
        yield Misfit(f"this host is a virtual machine ({kind})", "a physical host", "expect slow machines, or move")


def entropy(subject: Subject) -> Iterator[Misfit]:
    """Kernels since 5.18 always say 256."""
    have, wanted = subject.facts.kernel.entropy, subject.wants.entropy
    if have is not None and have < wanted:
        yield Misfit(f"{have} bits of entropy", f"{wanted}", "systemctl enable --now rngd, or give it a virtio-rng")


def device_files(subject: Subject) -> Iterator[Misfit]:
    """A mere file in the place of /dev/null fills the disk and breaks scripts."""
    numbers = {"/dev/null": "1 3", "/dev/zero": "1 5", "/dev/urandom": "1 9"}
    for path in subject.facts.kernel.bad_devices:
        fix = f"rm -f {path} && mknod -m 666 {path} c {numbers.get(path, '')}"
        yield Misfit(f"{path} is missing or no device", "the device", fix)


def ptys(subject: Subject) -> Iterator[Misfit]:
    """SSH sessions and consoles need them."""
    if not subject.facts.kernel.ptys:
        yield Misfit("/dev/ptmx cannot be opened", "pseudo-terminals", "mount -t devpts devpts /dev/pts")


def limit_files(subject: Subject) -> Iterator[Misfit]:
    """The hard limit of this session."""
    have, wanted = subject.facts.kernel.open_files, subject.wants.open_files
    if have < wanted:
        fix = f"echo '* hard nofile {wanted}' >/etc/security/limits.d/90-files.conf; log in again"
        yield Misfit(f"at most {have} open files", f"{wanted}", fix)


def limit_processes(subject: Subject) -> Iterator[Misfit]:
    """The hard limit of this session."""
    have, wanted = subject.facts.kernel.processes, subject.wants.processes
    if have < wanted:
        fix = f"echo '* hard nproc {wanted}' >/etc/security/limits.d/90-processes.conf; log in again"
        yield Misfit(f"at most {have} processes", f"{wanted}", fix)


def pid_max(subject: Subject) -> Iterator[Misfit]:
    """The kernel's limit."""
    have, wanted = subject.facts.kernel.pid_max, subject.wants.pid_max
    if have is not None and have < wanted:
        yield Misfit(f"kernel.pid_max is {have}", f"{wanted}", f"sysctl -w kernel.pid_max={wanted}")


def inotify(subject: Subject) -> Iterator[Misfit]:
    """The kernel's limit."""
    have, wanted = subject.facts.kernel.inotify_instances, subject.wants.inotify_instances
    if have is not None and have < wanted:
        name = "fs.inotify.max_user_instances"
        yield Misfit(f"{name} is {have}", f"{wanted}", f"sysctl -w {name}={wanted}")


def preload(subject: Subject) -> Iterator[Misfit]:
    """A missing one makes every program complain on stderr."""
    for name in subject.facts.kernel.missing_preloads:
        yield Misfit(f"/etc/ld.so.preload names {name}, which is not there", "no such line", "edit /etc/ld.so.preload")


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
