"""Debian packages: fetch a closure of them, read their control fields, say their relations in RPM's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.lab.process import run

_RELATION = re.compile(
    r"\s*(?P<name>[a-z0-9][a-z0-9+.-]*)(?::\w+)?\s*(?:\(\s*(?P<op>>=|<=|=|>>|<<)\s*(?P<version>[^)\s]+)\s*\))?"
)
# Needed by maintainer scripts, which do not run here, or by Debian's own administration. No RPM host has them.
_DEBIAN_ONLY = frozenset(
    ["adduser", "debconf", "dpkg", "init-system-helpers", "install-info", "libdebconfclient0", "runit-helper", "ucf"]
)
# dnf works on its database through the library; the shell is for products to install.
_NOT_NEEDED = frozenset([("dnf", "sqlite3")])


@dataclass(frozen=True, slots=True)
class Deb:
    """One .deb file and the fields of its control file."""

    path: Path
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def architecture(self) -> str:
        return "noarch" if self.fields["Architecture"] == "all" else "x86_64"

    @property
    def evr(self) -> Evr:
        return Evr.from_debian(self.fields["Version"])


@dataclass(frozen=True, slots=True)
class Evr:
    """Epoch, version and release as RPM has them. A Debian version without a revision has no release."""

    epoch: str
    version: str
    release: str

    @classmethod
    def from_debian(cls, text: str) -> Evr:
        epoch, _, rest = text.rpartition(":")
        version, _, release = rest.rpartition("-") if "-" in rest else (rest, "", "")
        return cls(epoch, version.replace("-", "_"), release)

    def __str__(self) -> str:
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{epoch}{self.version}" + (f"-{self.release}" if self.release else "")


def parse_control(text: str) -> dict[str, str]:
    """The fields of a control file; continuation lines stay part of their field."""
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            fields[key] += "\n" + line
        elif line:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    return fields


def split_relations(text: str) -> list[str]:
    """The comma-separated groups of a dependency field."""
    return [group for group in re.split(r"\s*,\s*", text.strip()) if group]


def fetch_closure(names: Iterable[str], folder: Path) -> None:
    """Download `names` and everything they depend on into `folder`, as if nothing were installed here.

    Raises:
        LabError: apt cannot resolve or download something.
    """
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    status = folder / "status"
    status.write_text("")
    options = (
        f"Dir::State::status={status}",
        f"Dir::Cache::archives={folder}",
        "Debug::NoLocking=1",
        "APT::Sandbox::User=root",
    )
    settings = [word for option in options for word in ("-o", option)]
    run(["apt-get", "-q", "-y", "--no-install-recommends", *settings, "-d", "install", *names])


def read_debs(folder: Path, jobs: int) -> list[Deb]:
    """Every .deb in `folder` with its fields, by name, except what only Debian itself needs."""

    def read(path: Path) -> Deb:
        return Deb(path, parse_control(run(["dpkg-deb", "-f", path]).stdout))

    with ThreadPoolExecutor(jobs) as pool:
        every = (deb for deb in pool.map(read, folder.glob("*.deb")) if deb.name not in _DEBIAN_ONLY)
        return sorted(every, key=lambda deb: deb.name)


class Catalogue:
    """The names that a set of packages has and provides; translates relations between them."""

    def __init__(self, debs: Iterable[Deb]) -> None:
        self._names: set[str] = set()
        self._provided: set[str] = set()
        for deb in debs:
            self._names.add(deb.name)
            groups = split_relations(deb.fields.get("Provides", ""))
            self._provided.update(group.split()[0] for group in groups)

    def requires(self, deb: Deb) -> list[str]:
        """What `deb` depends on, as RPM `Requires`; alternatives become the first one that the set can satisfy.

        Raises:
            LookupError: the set satisfies none of a group's alternatives.
        """
        fields = (deb.fields.get(key, "") for key in ("Pre-Depends", "Depends"))
        groups = [group for field in fields for group in split_relations(field) if not _is_debian_only(group)]
        found = dict.fromkeys(self._translate(group, deb.name) for group in groups)
        left_out = {deb.name} | {name for package, name in _NOT_NEEDED if package == deb.name}
        return [relation for relation in found if relation.split()[0] not in left_out]

    def provides(self, deb: Deb) -> list[str]:
        """The virtual names that `deb` provides, with their versions."""
        return [_rpm_relation(group) for group in split_relations(deb.fields.get("Provides", ""))]

    def _translate(self, group: str, wanted_by: str) -> str:
        for alternative in group.split("|"):
            relation = _rpm_relation(alternative)
            name = relation.split()[0]
            if name in self._names:
                return relation
            if name in self._provided:
                return name
        raise LookupError(f"{wanted_by} needs {group!r}, which is not in the set")


def _is_debian_only(group: str) -> bool:
    return any(_rpm_relation(alternative).split()[0] in _DEBIAN_ONLY for alternative in group.split("|"))


def _rpm_relation(text: str) -> str:
    match = _RELATION.match(text)
    if match is None:
        raise ValueError(f"not a relation: {text!r}")
    if not match["op"]:
        return match["name"]
    evr = Evr.from_debian(match["version"])
    # "later than 2.36" includes 2.36-5 in Debian; without a release RPM would compare versions only
    later = ">" if evr.release else ">="
    operator = {">>": later, "<<": "<"}.get(match["op"], match["op"])
    return f"{match['name']} {operator} {evr}"
