"""What a check looks at, and what it can say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from installer.facts import Facts
from installer.layout import Layout
from installer.offer import Offer
from installer.plan import Mode
from installer.state import State
from repos.preview import NO_CHANGE, Preview


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
    foreign_commands: tuple[str, ...] = ()
    """Paths of the product's commands where something of somebody else lies."""
    packages_to_install: bool = True
    preview: Preview = NO_CHANGE
    """What installing them does, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit. `strict` stops the run; else it is said only. `fix` is a command or a sentence."""

    id: str
    seen: str
    wanted: str
    fix: str
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One check: pure, by `find` over the subject."""

    id: str
    about: str
    find: Callable[[Subject], Iterable[Finding]]


def run_checks(checks: Iterable[Check], subject: Subject) -> Iterator[Finding]:
    """The findings of all `checks`."""
    for check in checks:
        yield from check.find(subject)


def report_lines(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Findings for people."""
    return tuple(
        f"{'✘' if each.strict else '!'} {each.id}: {each.seen}\n    wanted: {each.wanted}\n    fix: {each.fix}"
        for each in findings
    )
