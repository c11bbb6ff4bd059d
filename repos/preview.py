"""What a package manager says that a transaction would do, read from the table that it shows before it asks.

dnf 4, dnf 5 and yum 3 show the same table: a heading for each action, a row for each package, and under a row what it
replaces. No other form of the answer is had from all three.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from repos.nevra import Evr, Nevra

Action = Literal["install", "upgrade", "downgrade", "remove"]

_HEADINGS: tuple[tuple[str, Action], ...] = (
    ("Installing", "install"),
    ("Reinstalling", "install"),
    ("Upgrading", "upgrade"),
    ("Updating", "upgrade"),
    ("Downgrading", "downgrade"),
    ("Removing", "remove"),
)
_HEADING = re.compile(r"(\w+)(?: (?:for |weak |unused )?dependencies| dependent packages)?:")
_ROW = 5
"""Words of a row: name, architecture, version, repository, size; then the unit of the size, if it has one."""
_REPLACED = 3
"""Words that the replaced package has, under a row, at least in dnf 5: name, architecture, version."""
_UNITS = {"": 1, "B": 1, "k": 1000, "M": 10**6, "G": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = r"(\d+(?:\.\d+)?) *([A-Za-z]*)"
_DOWNLOAD = re.compile(rf"^(?:Total(?: download)? size:|Total size of inbound packages is) *{_SIZE}", re.MULTILINE)
_INSTALLED = re.compile(rf"(?:^Installed size:|\(install) *{_SIZE}", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One package of the transaction: as it will be, or as it was when it is removed."""

    action: Action
    nevra: Nevra
    size: int
    """Bytes of its file; of what it takes on the disk when it is removed. Rounded by whoever printed it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A transaction that was resolved and not carried out. Sizes are in bytes, rounded by whoever printed them."""

    changes: tuple[Change, ...] = ()
    download_size: int = 0
    installed_size: int | None = 0
    """What the installed packages will take; None when it is not said (dnf 4 does not, when something is upgraded)."""

    def of(self, action: Action) -> tuple[Nevra, ...]:
        """The packages with that action."""
        return tuple(change.nevra for change in self.changes if change.action == action)

    def harmful(self, own: Sequence[str]) -> tuple[Change, ...]:
        """What would be removed, or go back to an older version, and is none of the packages named `own`."""
        bad = ("remove", "downgrade")
        return tuple(change for change in self.changes if change.action in bad and change.nevra.name not in own)

    def lines(self) -> tuple[str, ...]:
        """For people: a line for each action, and the sizes."""
        words: dict[Action, str] = {
            "install": "install",
            "upgrade": "upgrade to",
            "downgrade": "go back to",
            "remove": "remove",
        }
        found = [
            f"packages to {word}: {', '.join(nevra.short for nevra in self.of(action))}"
            for action, word in words.items()
            if self.of(action)
        ]
        if not found:
            return ()
        on_disk = "" if self.installed_size is None else f", {_mb(self.installed_size)} when installed"
        return (*found, f"packages in all: {_mb(self.download_size)} to read{on_disk}")


NO_CHANGE = Preview()


def irreversible(preview: Preview, installed: Collection[Nevra], at_hand: Container[Nevra]) -> tuple[Nevra, ...]:
    """Those of the `installed` packages that the transaction replaces or takes away and that could not be put back:
    their own versions are not among the packages `at_hand`. An upgrade may change the architecture with the version.
    """
    gone: set[Nevra] = set()
    for change in preview.changes:
        if change.action == "install":
            continue
        named = [nevra for nevra in installed if nevra.name == change.nevra.name]
        same = [nevra for nevra in named if nevra.arch == change.nevra.arch]
        if change.action == "remove":
            same = [nevra for nevra in same if nevra.evr == change.nevra.evr]
        gone.update(same or named)
    return tuple(sorted((nevra for nevra in gone if nevra not in at_hand), key=lambda nevra: nevra.key))


def parse_preview(output: str) -> Preview:
    """Read what a package manager printed (its output and its errors)."""
    changes = tuple(sorted(_changes(output), key=lambda change: (change.action, change.nevra.key)))
    return Preview(changes, _size(_DOWNLOAD, output) or 0, _size(_INSTALLED, output))


def _changes(output: str) -> Iterator[Change]:
    action: Action | None = None
    words: list[str] = []
    name = ""
    for line in output.splitlines():
        if not line.startswith(" "):
            action, words = _heading(line), []
            continue
        if action is None:
            continue
        if line.split()[:1] == ["replacing"]:
            yield from _replaced(line.split()[1:], name)
            continue
        words += line.split()  # a name that is too long for its column has a line of its own
        if len(words) >= _ROW:
            name = words[0]
            yield Change(action, _nevra(words[0], words[1], words[2]), _bytes(words[4], "".join(words[5:6])))
            words = []


def _heading(line: str) -> Action | None:
    """dnf 5 says `Updating and loading repositories:` before, or after, its table; that is no heading of it."""
    match = _HEADING.fullmatch(line.rstrip())
    return next((action for heading, action in _HEADINGS if match and heading == match[1]), None)


def _replaced(words: Sequence[str], by: str) -> Iterator[Change]:
    """dnf 5 also says so of the older version of the same package, which is no removal."""
    if len(words) >= _REPLACED and not words[0].endswith(f".{words[1]}"):
        name, arch, version = words[0], words[1], words[2]
    else:
        (name, _, arch), version = words[0].rpartition("."), words[1]
    if name != by:
        yield Change("remove", _nevra(name, arch, version), 0)


def _nevra(name: str, arch: str, version: str) -> Nevra:
    evr = Evr.parse(version)
    return Nevra(name, evr.epoch, evr.version, evr.release, arch)


def _size(pattern: re.Pattern[str], output: str) -> int | None:
    match = pattern.search(output)
    return _bytes(match[1], match[2]) if match else None


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * _UNITS.get(unit, 1))


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
