"""One frozen context type for each of our own templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from payload.format import TRAILER_SIZE
from payload.texts import LISTING_COLUMNS


@dataclass(frozen=True, slots=True)
class StubContext:
    """`stub/header.sh.j2`. Sizes in bytes, `unpacked_kb` in KiB; `title` and `product` are checked to be harmless."""

    product: str
    title: str
    version: str
    file_name: str
    arch: str
    runtime_offset: int
    runtime_size: int
    runtime_sha256: str
    unpacked_kb: int
    libc_minor: int
    """The runtime needs glibc 2.x with at least this x."""
    trailer_size: int = TRAILER_SIZE
    listing_columns: int = LISTING_COLUMNS
    stub_sha256: str = "0" * 64
    """Set by `templates.render_stub.render_stub`."""


@dataclass(frozen=True, slots=True)
class CtlContext:
    """`ctl/ctl.sh.j2`. The folders `runtime` (of the current release) and `prefix` are quoted for the shell."""

    product: str
    runtime: str
    prefix: str


@dataclass(frozen=True, slots=True)
class CompletionContext:
    """`ctl/completion.bash.j2`. The folder `releases` is quoted for the shell; `function` is a name there."""

    product: str
    function: str
    releases: str


@dataclass(frozen=True, slots=True)
class ServingContext:
    """`repo/repository.service.j2`. `current` is the link to the release that runs, `address` is HOST:PORT."""

    product: str
    title: str
    current: str
    address: str
    user: str


class ReportedFinding(Protocol):
    """A row of a preflight report. All texts are foreign; the template escapes them."""

    @property
    def id(self) -> str:
        """The check."""

    @property
    def seen(self) -> str:
        """What is there."""

    @property
    def wanted(self) -> str:
        """What should be there."""

    @property
    def fix(self) -> str:
        """A command or a sentence."""


class ReportedCheck(Protocol):
    """A check that a host passed."""

    @property
    def id(self) -> str:
        """The check."""

    @property
    def about(self) -> str:
        """What is so."""


@dataclass(frozen=True, slots=True)
class ReportedHost:
    """A host in a preflight report. `problem` says why there are no results, where there are none."""

    name: str
    fits: bool
    verdict: str
    strict: Sequence[ReportedFinding] = ()
    advice: Sequence[ReportedFinding] = ()
    passed: Sequence[ReportedCheck] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PreflightContext:
    """`report/preflight.html.j2`. `made` is the time as text, `fitting` the number of hosts that fit."""

    title: str
    made: str
    hosts: tuple[ReportedHost, ...]
    fitting: int
