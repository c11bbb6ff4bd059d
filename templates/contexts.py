"""One frozen context type for each of our own templates."""

from __future__ import annotations

from dataclasses import dataclass

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
class ServingContext:
    """`repo/repository.service.j2`. `current` is the link to the release that runs, `address` is HOST:PORT."""

    product: str
    title: str
    current: str
    address: str
    user: str
