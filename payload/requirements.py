"""What preflight asks of a host: which checks there are, how strict each is, and the manifest's own wishes.

All of it is data that travels, signed, in the bundle's index; how each check looks at a host is the installer's affair.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints, field_validator, model_validator

from payload.document import Document
from payload.fields import PackagePattern

Level = Literal["strict", "advisory", "off"]
"""`strict` refuses the host, `advisory` is only said."""


class KnownCheck(NamedTuple):
    """A check that every installer has. `level` is what holds where the manifest says nothing."""

    about: str
    level: Level


KNOWN_CHECKS: dict[str, KnownCheck] = {
    "root": KnownCheck("only root may change the host", "strict"),
    "os": KnownCheck("the operating system is one of the targets", "strict"),
    "arch": KnownCheck("the processor's architecture is one of the targets", "strict"),
    "libc": KnownCheck("the C library is new enough for the compiled wheels", "strict"),
    "kernel": KnownCheck("the kernel is new enough", "strict"),
    "kernel-modules": KnownCheck("the kernel has the modules that are wanted", "strict"),
    "kernel-settings": KnownCheck("the kernel has the settings that the product changes", "strict"),
    "container": KnownCheck("this is a host, not a container that shares its kernel", "advisory"),
    "cpus": KnownCheck("enough processors", "strict"),
    "cpu-flags": KnownCheck("the processor has the features that are wanted", "strict"),
    "memory": KnownCheck("enough memory", "strict"),
    "swap": KnownCheck("enough swap", "advisory"),
    "python": KnownCheck("python3 is there and in the target's range", "strict"),
    "python-wheels": KnownCheck("the bundle's wheels are made for this Python", "strict"),
    "python-venv": KnownCheck("python3 can make environments", "strict"),
    "disk-space": KnownCheck("enough room for what this very run writes, by file system", "strict"),
    "disk-inodes": KnownCheck("enough inodes there", "strict"),
    "mount-read-only": KnownCheck("nothing that is written to is mounted read-only", "strict"),
    "mount-noexec": KnownCheck("programs can start below the prefix", "strict"),
    "mount-nosuid": KnownCheck("packages with set-uid programs work: /usr is not nosuid", "advisory"),
    "temp-folder": KnownCheck("the folders for temporary files are for everybody, with the sticky bit", "strict"),
    "port": KnownCheck("nobody else listens on the product's ports", "strict"),
    "hostname": KnownCheck("the host name is valid and not localhost", "advisory"),
    "hostname-resolves": KnownCheck("the host's own name resolves without a name server", "advisory"),
    "fqdn": KnownCheck("the host has a fully qualified name", "off"),
    "localhost": KnownCheck("localhost resolves to the loopback, and to nothing else", "strict"),
    "ipv6-loopback": KnownCheck("localhost leads to ::1 only where the loopback has that address", "advisory"),
    "hosts-file": KnownCheck("/etc/hosts gives each name one address of a kind, and has no malformed line", "advisory"),
    "name-server-routes": KnownCheck("a route leads to each name server", "advisory"),
    "name-servers": KnownCheck("there are no more name servers than are asked", "advisory"),
    "clock": KnownCheck("the clock is not before the bundle's time", "strict"),
    "clock-future": KnownCheck("the clock is not ten years after it", "advisory"),
    "clock-rtc": KnownCheck("the hardware clock agrees with the system's", "advisory"),
    "time-sync": KnownCheck("something keeps the clock right", "advisory"),
    "timezone": KnownCheck("the time zone is set to one that exists", "advisory"),
    "prefix-taken": KnownCheck("a first install finds no releases of somebody else below the prefix", "strict"),
    "unit-taken": KnownCheck("the product's units replace nobody else's", "strict"),
    "command-taken": KnownCheck("the product's commands replace nobody else's", "strict"),
    "user-taken": KnownCheck("the product's user is not a person's account, or root by another name", "strict"),
    "group-taken": KnownCheck("no group has the name of a user that is still to be made", "strict"),
    "tool": KnownCheck("the commands that the installer and the product call are there", "strict"),
    "package-tool": KnownCheck("dnf or yum is there and starts", "strict"),
    "rpmdb": KnownCheck("the package database can be read", "strict"),
    "rpmdb-duplicates": KnownCheck(
        "no package is installed twice, as after a transaction that was cut off", "advisory"
    ),
    "package-lock": KnownCheck("nobody holds the package manager's lock", "strict"),
    "package-pending": KnownCheck("no package transaction waits to be finished", "advisory"),
    "package-conflict": KnownCheck("no package is installed that the product cannot live with", "strict"),
    "package-excludes": KnownCheck("the package manager's configuration excludes no packages", "advisory"),
    "systemd": KnownCheck("systemd runs", "strict"),
    "systemd-state": KnownCheck("no unit has failed", "advisory"),
    "systemd-jobs": KnownCheck("systemd waits for nothing", "advisory"),
    "cgroups": KnownCheck("control groups are mounted", "strict"),
    "selinux": KnownCheck("SELinux is in a mode that the product can live with", "strict"),
    "fapolicyd": KnownCheck("no daemon forbids programs that came without a package", "advisory"),
    "firewall": KnownCheck("an active firewall lets the product's ports through", "advisory"),
    "sshd": KnownCheck("an SSH server listens where the product logs in to its own host", "advisory"),
    "virtualization": KnownCheck("the processor's virtualization works, not only its device file", "strict"),
    "virtualization-nested": KnownCheck("virtual machines do not run inside one", "advisory"),
    "entropy": KnownCheck("enough randomness to make keys", "advisory"),
    "device-files": KnownCheck("/dev/null, /dev/zero, /dev/urandom are the devices", "strict"),
    "ptys": KnownCheck("pseudo-terminals can be opened", "advisory"),
    "limit-files": KnownCheck("a process may open enough files", "advisory"),
    "limit-processes": KnownCheck("a user may start enough processes", "advisory"),
    "pid-max": KnownCheck("the kernel allows enough processes", "advisory"),
    "inotify": KnownCheck("the kernel allows enough watches of files", "advisory"),
    "umask": KnownCheck("new files are readable for others than root, and not writable", "advisory"),
    "locale": KnownCheck("the session's locale is one that the host has", "advisory"),
    "root-home": KnownCheck("root's home is there and root's own", "advisory"),
    "path": KnownCheck("PATH has only absolute folders that nobody else can write", "advisory"),
    "preload": KnownCheck("/etc/ld.so.preload names only libraries that are there", "advisory"),
    "proxy": KnownCheck("a proxy in the environment leaves this host's own addresses alone", "advisory"),
}
"""In the order in which they are shown."""

CheckId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,60}$")]
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,300}$")]


class ProductCheck(Document):
    """A check of the product's own: a program of the host, run as root, that ends with 0 on a host that fits (it may
    look, but not change anything), or a condition: a Jinja2 expression over `installer.facts.Facts`."""

    id: CheckId
    about: _Text
    command: tuple[str, ...] = ()
    condition: str | None = None
    wanted: _Text
    fix: _Text
    strict: bool = True

    @model_validator(mode="after")
    def _one_way(self) -> ProductCheck:
        if bool(self.command) == (self.condition is not None):
            raise ValueError("exactly one of 'command' and 'condition' must be given")
        if self.id in KNOWN_CHECKS:
            raise ValueError(f"{self.id!r} is a check that every bundle has: choose another id")
        return self


class Requirements(Document):
    """What preflight asks of the host besides the target."""

    memory_mb: int = Field(default=0, ge=0)
    swap_mb: int = Field(default=0, ge=0)
    cpus: int = Field(default=0, ge=0)
    cpu_flags: tuple[_Word, ...] = ()
    kernel: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+){0,2}$")] | None = None
    kernel_modules: tuple[_Word, ...] = ()
    virtualization: bool = False
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()
    tools: tuple[_Word, ...] = ()
    conflicts: tuple[PackagePattern, ...] = ()
    selinux: tuple[Literal["enforcing", "permissive", "disabled"], ...] = ()
    """Modes that the product can live with; all of them if none is given."""
    inodes: int = Field(default=5000, ge=0)
    open_files: int = Field(default=1024, ge=0)
    processes: int = Field(default=1024, ge=0)
    pid_max: int = Field(default=32768, ge=0)
    inotify_instances: int = Field(default=128, ge=0)
    entropy: int = Field(default=128, ge=0)
    """In bits, as the kernel counts."""
    levels: dict[CheckId, Level] = {}  # noqa: RUF012 - pydantic copies it
    """How strict checks are, where that is not to be as in `KNOWN_CHECKS`."""
    check: tuple[ProductCheck, ...] = ()

    @field_validator("levels")
    @classmethod
    def _known(cls, value: dict[str, Level]) -> dict[str, Level]:
        if unknown := sorted(set(value) - set(KNOWN_CHECKS)):
            raise ValueError(f"there is no check {', '.join(unknown)}; docs/preflight.md lists them")
        return value

    def level(self, check: str) -> Level:
        """How strict the known check of that id is."""
        return self.levels.get(check, KNOWN_CHECKS[check].level)
