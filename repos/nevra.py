"""Names and versions of RPM packages, ordered as rpm orders them; and the requirement strings of spec files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, total_ordering
from typing import Any, Self

from payload.errors import InputError

_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
_NEVRA = re.compile(
    r"(?:(?P<first>[0-9]+):)?(?P<name>[^\s:/]+)-(?:(?P<epoch>[0-9]+):)?(?P<version>[^\s:/-]+)-(?P<release>[^\s:/-]+)"
    r"\.(?P<arch>[A-Za-z0-9_]+|\(none\))"
)
_EVR = re.compile(r"(?:(?P<epoch>[0-9]+):)?(?P<version>[^\s:-]+)(?:-(?P<release>[^\s:-]+))?")
_REQUIREMENT = re.compile(r"(?P<name>\S+)(?:\s+(?P<operator><=|>=|<|>|=)\s+(?P<evr>\S+))?")

_Segment = tuple[int, int, str]
_END: _Segment = (1, 0, "")


@lru_cache(maxsize=1 << 14)
def version_key(text: str) -> tuple[_Segment, ...]:
    """A key that sorts version (or release) strings as rpm's own comparison does.

    Segments are runs of digits or of letters, everything else separates. Oldest first: `~`, the end of the string,
    `^`, letters, digits; digits compare as numbers.
    """
    return (*(_segment_key(segment) for segment in _SEGMENT.findall(text)), _END)


def _segment_key(segment: str) -> _Segment:
    if segment == "~":
        return (0, 0, "")
    if segment == "^":
        return (2, 0, "")
    if not segment[0].isdigit():
        return (3, 0, segment)
    digits = segment.lstrip("0")
    return (4, len(digits), digits)


def vercmp(left: str, right: str) -> int:
    """-1, 0 or 1: rpm's comparison of two version or release strings."""
    ours, theirs = version_key(left), version_key(right)
    return (ours > theirs) - (ours < theirs)


@total_ordering
@dataclass(frozen=True, slots=True)
class Evr:
    """Epoch, version and release. A requirement may leave the release out ("")."""

    epoch: int
    version: str
    release: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[EPOCH:]VERSION[-RELEASE]`.

        Raises:
            InputError: it is not of that form.
        """
        match = _EVR.fullmatch(text)
        if match is None:
            raise InputError("bad-version", f"{text!r} is not a version such as 1.4, 1.4-2.el9 or 1:1.4-2.el9")
        return cls(int(match["epoch"] or 0), match["version"], match["release"] or "")

    def __lt__(self, other: Evr) -> bool:
        return self.key < other.key

    @property
    def key(self) -> tuple[int, tuple[_Segment, ...], tuple[_Segment, ...]]:
        """What sorts it."""
        return (self.epoch, version_key(self.version), version_key(self.release))

    def compare(self, other: Evr) -> int:
        """-1, 0 or 1; releases count only where both have one."""
        skip = not (self.release and other.release)
        ours, theirs = (self.key[:2], other.key[:2]) if skip else (self.key, other.key)
        return (ours > theirs) - (ours < theirs)

    def __str__(self) -> str:
        epoch = f"{self.epoch}:" if self.epoch else ""
        release = f"-{self.release}" if self.release else ""
        return f"{epoch}{self.version}{release}"


@dataclass(frozen=True, slots=True)
class Nevra:
    """One exact package."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name-[epoch:]version-release.arch` (or with the epoch in front, as `rpm -qa` writers do).

        Raises:
            InputError: it is not of that form.
        """
        match = _NEVRA.fullmatch(text.strip())
        if match is None or (match["first"] and match["epoch"]):
            raise InputError("bad-nevra", f"{text.strip()!r} is not of the form name-[epoch:]version-release.arch")
        epoch = match["epoch"] or match["first"] or "0"
        return cls(match["name"], int(epoch), match["version"], match["release"], match["arch"])

    @classmethod
    def of(cls, solvable: Any) -> Self:
        """The name of a package of libsolv."""
        epoch, _, rest = solvable.evr.rpartition(":")
        version, _, release = rest.rpartition("-")
        return cls(solvable.name, int(epoch or 0), version, release, solvable.arch)

    @property
    def evr(self) -> Evr:
        """Its version."""
        return Evr(self.epoch, self.version, self.release)

    @property
    def key(self) -> tuple[str, str, tuple[int, tuple[_Segment, ...], tuple[_Segment, ...]], str, str]:
        """Sorts by name, architecture, then version; the spelling last, so that no two packages share a place."""
        return (self.name, self.arch, self.evr.key, self.version, self.release)

    @property
    def short(self) -> str:
        """As rpm and dnf print it: without an epoch of zero."""
        return f"{self.name}-{self.evr}.{self.arch}"

    def __str__(self) -> str:
        return f"{self.name}-{self.epoch}:{self.version}-{self.release}.{self.arch}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """`NAME [op EVR]`: what a package requires, or what one provides."""

    name: str
    operator: str = ""
    evr: Evr | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME` or `NAME op EVR`, op being one of < <= = >= >.

        Raises:
            InputError: it is not of that form.
        """
        match = _REQUIREMENT.fullmatch(text.strip())
        if match is None:
            raise InputError("bad-requirement", f"{text!r} is not of the form NAME or NAME >= VERSION")
        return cls(match["name"], match["operator"] or "", Evr.parse(match["evr"]) if match["evr"] else None)

    def satisfied_by(self, provide: Requirement) -> bool:
        """Whether the two ranges of versions meet. Without a version, on either side, the name is enough."""
        if self.name != provide.name:
            return False
        if self.evr is None or provide.evr is None:
            return True
        order = provide.evr.compare(self.evr)
        if order == 0:
            return bool(set(self.operator) & set(provide.operator))
        if order < 0:
            return "<" in self.operator or ">" in provide.operator
        return ">" in self.operator or "<" in provide.operator

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.evr}" if self.evr else self.name
