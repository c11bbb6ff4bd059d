"""What a check looks at, and what it can say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from installer.facts.model import Facts
from installer.layout import Layout
from installer.offer import Offer
from installer.plan import Mode
from installer.state import State
from payload.requirements import Level, Requirements
from repos.preview import NO_CHANGE, Preview

TEXT_LIMIT = 2000
"""No text of a finding has more letters."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Paths where something of somebody else lies that the product would replace."""

    commands: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything that checks decide over."""

    mode: Mode
    facts: Facts
    layout: Layout
    offer: Offer
    created: int
    """When the bundle was made, seconds since the epoch."""
    state: State | None
    database_size: int = 0
    """Bytes of the product's own database file."""
    dump_size: int = 0
    """Bytes that the copy of a database elsewhere may have."""
    taken: Taken = Taken()
    packages_to_install: bool = True
    preview: Preview = NO_CHANGE
    """What installing them does, as far as it is known."""

    @property
    def wants(self) -> Requirements:
        """What the manifest asks of the host."""
        return self.offer.manifest.preflight

    @property
    def user(self) -> str:
        """The product's system user."""
        return self.offer.manifest.user


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that does not fit. `fix` is a command, or a sentence where none can be given."""

    seen: str
    wanted: str
    fix: str


Find = Callable[[Subject], Iterable[Misfit]]
"""The pure part of a check."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A misfit that a check found. `strict` stops the run; else it is said only. `id` is the check's."""

    id: str
    seen: str
    wanted: str
    fix: str
    strict: bool = True


def finding(check: str, misfit: Misfit, *, strict: bool) -> Finding:
    """What `check` found. Names of programs and answers of programs are foreign: nothing in them moves a cursor."""
    return Finding(check, _plain(misfit.seen), _plain(misfit.wanted), _plain(misfit.fix), strict)


def _plain(text: str) -> str:
    short = text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in short)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a check that was made."""

    id: str
    about: str
    level: Level
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """The host fits."""
        return not self.findings


def findings_of(results: Iterable[Result]) -> tuple[Finding, ...]:
    """All that was found, strict ones first."""
    found = [finding for result in results for finding in result.findings]
    return tuple(sorted(found, key=lambda finding: not finding.strict))


def report_lines(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Findings for people."""
    return tuple(
        f"{'✘' if each.strict else '!'} {each.id}: {each.seen}\n    wanted: {each.wanted}\n    fix: {each.fix}"
        for each in findings
    )
