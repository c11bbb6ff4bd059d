"""The one error type, and the one table of exit codes.

Library code raises; only the two `cli` modules turn an error into an exit code. An error says what
happened (`brief`), where and why (`details`) and what to do (`remedy`), and has a stable kebab-case `code`.
"""

from __future__ import annotations

import shlex
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `sealift`, of every bundle and of `<product>-ctl`. Stable: scripts depend on them."""

    OK = 0
    """Done, or nothing to do."""
    USAGE = 2
    """The call does not fit its options or this host's state. Nothing was changed."""
    INTEGRITY = 10
    """A file is damaged, truncated or not what its digest says. Nothing was changed."""
    TRUST = 11
    """A signature is missing, wrong, or from a key that is not trusted. Nothing was changed."""
    INPUT = 12
    """A manifest, lock, answers or key file has mistakes. Nothing was changed."""
    RESOLVE = 13
    """What the manifest wants cannot be resolved or fetched. Nothing was built."""
    PREFLIGHT = 20
    """The host does not fit the bundle. Nothing was changed."""
    BUSY = 21
    """Another run holds the lock. Nothing was changed."""
    ROLLED_BACK = 30
    """A step failed; everything was put back."""
    NEEDS_OPERATOR = 31
    """A step failed and so did putting it back. The message says what is left."""
    INTERNAL = 70
    """A defect of this program."""
    INTERRUPTED = 130
    """Stopped by a signal; everything was put back."""


class SealiftError(Exception):
    """Base of every expected failure."""

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, code: str, brief: str, *, details: str = "", remedy: str = "") -> None:
        super().__init__(brief)
        self.code = code
        self.brief = brief
        self.details = details
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [f"{self.brief} [{self.code}]"]
        if self.details:
            parts.append(self.details)
        if self.remedy:
            parts.append(f"What to do: {self.remedy}")
        return "\n".join(parts)


class UsageError(SealiftError):
    """The request does not fit the options or the state of this host."""

    exit_code = ExitCode.USAGE


class IntegrityError(SealiftError):
    """Bytes are not what they should be."""

    exit_code = ExitCode.INTEGRITY


class TrustError(SealiftError):
    """A signature does not hold, or its key is not trusted."""

    exit_code = ExitCode.TRUST


class InputError(SealiftError):
    """A file written by a person has mistakes; `details` lists all of them."""

    exit_code = ExitCode.INPUT


class ResolveError(SealiftError):
    """Something wanted could not be resolved or fetched."""

    exit_code = ExitCode.RESOLVE


class PreflightError(SealiftError):
    """The host does not fit; `details` lists every finding."""

    exit_code = ExitCode.PREFLIGHT


class BusyError(SealiftError):
    """Another run holds the lock."""

    exit_code = ExitCode.BUSY


class StepError(SealiftError):
    """A step of a plan failed. Until it was rolled back, its exit code is what rolling back will give."""

    exit_code = ExitCode.ROLLED_BACK


class NeedsOperatorError(SealiftError):
    """A step failed and could not be undone."""

    exit_code = ExitCode.NEEDS_OPERATOR


class CommandError(StepError):
    """A child process failed."""

    def __init__(self, argv: tuple[str, ...], returncode: int, output: str) -> None:
        tail = "\n".join(output.strip().splitlines()[-15:])
        super().__init__(
            "command-failed",
            f"{argv[0]} exited with {returncode}",
            details=f"$ {shlex.join(argv)}\n{tail}".strip(),
        )
        self.argv = argv
        self.returncode = returncode
        self.output = output
