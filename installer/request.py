"""What the operator asked for, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from payload.errors import UsageError

ConfigConflicts = Literal["keep", "refuse"]
"""What the operator wants where edits and a new default are in conflict: the edits stay, or nothing is done."""

Action = Literal[
    "install",
    "version",
    "info",
    "list",
    "sbom",
    "provenance",
    "check",
    "extract",
    "cat",
    "dry-run",
    "preflight",
    "resume",
    "undo",
    "plan",
]


@dataclass(frozen=True, slots=True)
class Request:
    """`upgrade` with `dry-run` or `preflight` as the action says which plan is meant."""

    action: Action
    offline: bool = False
    upgrade: bool = False
    mirror: str | None = None
    bundle_first: bool = False
    mirrors_file: Path | None = None
    allow_removals: bool = False
    allow_irreversible: bool = False
    prefix: Path | None = None
    yes: bool = False
    start: bool = True
    answers_file: Path | None = None
    key: Path | None = None
    allow_older: bool = False
    allow_downgrade: bool = False
    config_conflicts: ConfigConflicts = "keep"
    events: Path | None = None
    extract_to: Path | None = None
    patterns: tuple[str, ...] = ()
    """Which files `extract_to` gets; all if none are given."""
    cat: str | None = None
    volumes: tuple[Path, ...] = ()
    """Folders with parts of a split bundle, besides its own."""
    json: bool = False
    report: Path | None = None
    """Where `preflight` writes its page."""
    hosts: Path | None = None
    """The inventory of the nodes that are meant, instead of this host."""

    @property
    def only_shows(self) -> bool:
        """Shows what the bundle says of itself, and says nothing about whether that is true."""
        return self.action in {"version", "info", "list", "sbom", "provenance", "cat"}

    @property
    def looks_at_host(self) -> bool:
        """The answer depends on what is installed."""
        return self.action in {"install", "dry-run", "preflight"}


def check_request(request: Request, program: str) -> Request:
    """Refuse what cannot be meant.

    Raises:
        UsageError: options that exclude each other, or an install that does not say where packages come from.
    """
    if request.offline and request.mirror is not None:
        raise UsageError(
            "offline-with-mirror",
            "-o and -R exclude each other",
            details="-o takes packages from the bundle, -R from a mirror on the network",
            remedy=f"choose one: bash {program} -o, or bash {program} -R {request.mirror}; "
            f"from the bundle, and from the mirror what it lacks: bash {program} -R {request.mirror} --bundle-first",
        )
    if request.bundle_first and request.mirror is None:
        raise UsageError(
            "bundle-first-alone",
            "--bundle-first needs -R",
            details="it takes from the mirror what the bundle lacks",
            remedy=f"bash {program} -R MIRROR --bundle-first",
        )
    if request.patterns and request.extract_to is None:
        raise UsageError(
            "files-without-extract",
            f"what is {request.patterns[0]!r} for?",
            details="files are named with --extract only",
            remedy=f"bash {program} --extract DIR FILE..., or see --help",
        )
    if request.hosts is not None and not (
        request.action == "preflight" or (request.action == "install" and request.upgrade)
    ):
        raise UsageError(
            "hosts-alone",
            "--hosts goes with --preflight, or with -u",
            remedy=f"bash {program} -u --preflight --hosts FILE, or bash {program} -u --hosts FILE",
        )
    if request.report is not None and request.action != "preflight":
        raise UsageError(
            "report-without-preflight",
            "--report goes with --preflight",
            remedy=f"bash {program} -o --preflight --report FILE",
        )
    if request.mirror == "":
        raise UsageError("mirror-empty", "-R needs a mirror", remedy="-R NAME, -R URL or -R auto; see --info for names")
    installs = request.looks_at_host and not request.upgrade
    if installs and not request.offline and request.mirror is None:
        raise UsageError(
            "source-missing",
            "say where packages come from: -o or -R",
            details="-o, --offline   from this bundle; needs no network\n"
            "-R, --mirror M  from a mirror: a name from --info, a URL, or auto for the fastest one",
            remedy=f"to install without a network: bash {program} -o. All options: bash {program} --help",
        )
    if request.prefix is not None and not request.prefix.is_absolute():
        raise UsageError(
            "root-relative",
            f"-r needs an absolute folder, not {request.prefix}",
            remedy=f"-r {request.prefix.absolute()}",
        )
    return request
