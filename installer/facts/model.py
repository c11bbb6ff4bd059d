"""The values. Text that cannot be found out is None; sizes say their unit in their name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from installer.facts.accounts import Account


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the host by name: only that is looked up."""

    paths: tuple[Path, ...] = ()
    users: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    modules: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """Of the kernel, such as `net.ipv4.ip_forward`."""
    conflicts: tuple[str, ...] = ()
    """Patterns of packages' names."""
    virtualization: bool = False
    programs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Programs of the product's own checks, by the check's id."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The file system under a path (of its nearest parent that exists)."""

    path: str
    device: int
    free: int
    """In bytes, for users without privileges."""
    free_inodes: int
    writable: bool
    executable: bool
    set_uid: bool
    """Set-uid programs work there."""


@dataclass(frozen=True, slots=True)
class System:
    """Which system this is, and what it runs on."""

    os_id: str
    os_like: tuple[str, ...]
    os_name: str
    arch: str
    libc: str | None
    """Version of glibc, such as `2.34`."""
    kernel: str
    container: str | None
    """Kind of the container that this is, if it is one."""
    machine: str | None
    """Kind of the virtual machine that this is, if it is one."""
    cpus: int
    cpu_flags: tuple[str, ...]
    memory_mb: int
    swap_mb: int
    python: str | None
    """Version of the host's python3."""
    python_venv: bool
    tools: tuple[str, ...]
    """Those of the wanted commands that are there."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Limits and devices of the kernel."""

    cgroups: str | None
    """`v2` or `v1`."""
    entropy: int | None
    """In bits."""
    pid_max: int | None
    inotify_instances: int | None
    modules: tuple[str, ...]
    """Those of the wanted modules that are loaded, built in, or can be loaded."""
    unknown_settings: tuple[str, ...]
    """Those of the wanted settings that it does not have."""
    virtualization: str | None
    """`ok`, or why virtual machines cannot run. None: nobody asked."""
    bad_devices: tuple[str, ...]
    """Device files that are missing or something else."""
    ptys: bool
    open_files: int
    """The most that a process may open."""
    processes: int
    """The most that a user may start."""
    missing_preloads: tuple[str, ...]
    """Libraries of /etc/ld.so.preload that are not there."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens on a TCP port; `pid` and `program` are None where the kernel does not tell."""

    port: int
    pid: int | None = None
    program: str | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Names and ports."""

    listeners: tuple[Listener, ...]
    hostname: str
    hostname_addresses: tuple[str, ...]
    fqdn: str
    localhost_addresses: tuple[str, ...]
    ipv6_loopback: bool
    hosts_faults: tuple[str, ...]
    """What is odd in /etc/hosts, each with its line."""
    name_servers: tuple[str, ...]
    """As /etc/resolv.conf lists them."""
    unreachable_servers: tuple[str, ...]
    """Those of them that are no address, or to which no route leads."""
    firewall: str | None
    """The firewall that is at work: firewalld, nftables, iptables."""
    closed_ports: tuple[int, ...]
    """Those of the wanted ports that it does not let through."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Times in seconds since the epoch."""

    now: int
    rtc: int | None
    synchronized: bool | None
    timezone: str | None
    """Where /etc/localtime leads, if there is something."""


@dataclass(frozen=True, slots=True)
class Packages:
    """The package manager. Texts of faults are what the programs said."""

    tool: str | None
    tool_fault: str | None
    rpmdb_fault: str | None
    duplicates: tuple[str, ...]
    conflicts: tuple[str, ...]
    """Installed packages whose names fit the wanted patterns."""
    lock_holder: str | None
    """Pid of who holds the package manager's or rpm's lock."""
    pending: tuple[str, ...]
    """Files that say that a transaction waits to be finished."""
    excludes: str | None
    """What the package manager's configuration excludes."""


@dataclass(frozen=True, slots=True)
class Services:
    """systemd and what guards the host."""

    systemd: bool
    failed: tuple[str, ...]
    jobs: int
    """How many of systemd's jobs wait for longer than a moment."""
    sshd: bool
    """Something that calls itself an SSH server answers on this host."""
    selinux: str
    """`enforcing`, `permissive` or `disabled`."""
    fapolicyd: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Who runs this, and in which session."""

    uid: int
    umask: int
    users: dict[str, Account]
    """Those of the wanted users that are there."""
    groups: tuple[str, ...]
    """Groups with the names of wanted users."""
    root_home_fault: str | None
    bad_paths: tuple[str, ...]
    """Entries of PATH that are relative, or that others can write."""
    locale: str | None
    locale_known: bool
    proxy: str | None
    """Value of a proxy variable."""
    no_proxy: str

    @property
    def homes(self) -> dict[str, str]:
        """Home folder of each wanted user that is there."""
        return {name: account.home for name, account in self.users.items()}


@dataclass(frozen=True, slots=True)
class Facts:
    """The host."""

    system: System
    kernel: Kernel
    network: Network
    clock: Clock
    packages: Packages
    services: Services
    identity: Identity
    file_systems: tuple[FileSystem, ...]
    odd_temp_folders: tuple[str, ...]
    """Those of /tmp and /var/tmp that not everybody can write, or without the sticky bit."""
    refusals: dict[str, str]
    """What those of the wanted programs said that failed, by the check's id."""

    def file_system(self, path: Path) -> FileSystem | None:
        """The one gathered for `path`."""
        return next((each for each in self.file_systems if each.path == str(path)), None)

    def to_json(self) -> str:
        """JSON text; `facts_from_json` reads it."""
        return _adapter().dump_json(self, indent=2).decode()

    def to_body(self) -> dict[str, Any]:
        """What conditions of a product's checks are about."""
        return asdict(self)


@cache
def _adapter() -> TypeAdapter[Facts]:
    """Made when facts are saved or read: an install does neither."""
    return TypeAdapter(Facts)


def facts_from_json(text: str) -> Facts:
    """Facts that were saved."""
    return _adapter().validate_json(text)
