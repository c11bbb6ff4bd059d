"""What a host has already: its packages by name, and, where they were captured, what they provide and need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from payload import effects
from payload.errors import InputError, UsageError
from repos.nevra import Nevra

DEPENDENCIES = ("provides", "requires", "conflicts", "obsoletes")
_FILE = "file"
_PUBLIC_KEYS = "gpg-pubkey"
"""rpm's database lists the public keys that it knows as packages of this name."""


def _query() -> str:
    """rpm's format of a captured baseline: a NEVRA a line, and below it, a space in front, all that the package has."""
    parts = [r"%{NEVRA}\n"]
    for kind in DEPENDENCIES:
        tag = kind.removesuffix("s").upper()
        parts.append(rf"%|{tag}NAME?{{[ {kind} %{{{tag}NAME}} %{{{tag}FLAGS:depflags}} %{{{tag}VERSION}}\n]}}|")
    parts.append(rf"%|FILENAMES?{{[ {_FILE} %{{FILENAMES}}\n]}}|")
    return "".join(parts)


CAPTURE = ("rpm", "-qa", "--qf", _query())
"""The command that prints a baseline; all of its tags are known to old rpms too."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A package of a host. `dependencies` are requirement strings by kind (see `DEPENDENCIES`), `files` its paths;
    nothing is known about them where there are no `dependencies` at all."""

    nevra: Nevra
    dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: frozenset[str] = frozenset()


def read_baseline(path: Path) -> tuple[Installed, ...]:
    """The packages of a baseline file: what `CAPTURE` prints, or NEVRAs alone; `#` begins a comment.

    Raises:
        InputError: a line is neither.
        UsageError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError("file-unreadable", f"cannot read {path}: {error.strerror}") from error
    return tuple(_package(path, head, rest) for head, rest in _sections(path, text.splitlines()))


def capture_baseline(root: Path | None = None) -> str:
    """The baseline of this machine, or of the system that is installed below `root`, sorted.

    Raises:
        CommandError: rpm is not there, or cannot read the database.
        InputError: there are no packages.
    """
    where = [] if root is None else ["--dbpath", str(_database(root))]
    found = effects.run([CAPTURE[0], *where, *CAPTURE[1:]]).output
    packages = sorted((head, *rest) for head, rest in _sections(root or Path("/"), found.splitlines()))
    if not packages:
        raise _no_system(root or Path("/"))
    return "".join(f"{line.rstrip()}\n" for package in packages for line in package)


def _database(root: Path) -> Path:
    """Where that system's rpm has its database; this machine's may have it elsewhere."""
    found = (root.absolute() / place for place in ("usr/lib/sysimage/rpm", "var/lib/rpm"))
    database = next((path for path in found if path.is_dir()), None)
    if database is None:
        raise _no_system(root)
    return database


def _no_system(root: Path) -> InputError:
    return InputError("no-packages", f"{root} has no packages that rpm knows", remedy="name the root of an RPM system")


def _sections(where: Path, lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Each package's line, and those below it; without the public keys."""
    head, rest = "", list[str]()
    for line in (*lines, "end"):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(" "):
            if not head:
                raise _malformed(where, line)
            rest.append(line)
            continue
        if head and not head.startswith(f"{_PUBLIC_KEYS}-"):
            yield head, rest
        head, rest = line.strip(), []


def _package(path: Path, head: str, lines: Sequence[str]) -> Installed:
    found: dict[str, list[str]] = {}
    for line in lines:
        kind, _, value = line[1:].partition(" ")
        if kind not in (*DEPENDENCIES, _FILE) or not value:
            raise _malformed(path, line)
        found.setdefault(kind, []).append(value)
    files = frozenset(found.pop(_FILE, ()))
    return Installed(Nevra.parse(head), {kind: tuple(map(str.strip, texts)) for kind, texts in found.items()}, files)


def _malformed(path: Path, line: str) -> InputError:
    return InputError(
        "bad-baseline",
        f"{path} has a line that belongs to no baseline",
        details=line,
        remedy="make it with: sealift mirror baseline",
    )
