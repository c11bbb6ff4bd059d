"""The product's own commands for its set-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, register
from payload.errors import CommandError, StepError


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(PlainStep):
    """Run `argv` as `user`. `stdin` names the answer that it reads: the plan never holds a secret.

    What the command changes in the database is undone by the plan's database step, which comes before it.
    """

    kind: ClassVar[str] = "command"
    redone_from: ClassVar[frozenset[str]] = frozenset({"database-backup"})
    what: str
    argv: tuple[str, ...]
    user: str
    cwd: Path
    stdin: str | None = None
    timeout: float = 1800

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.stdin is None else (self.stdin,)

    @override
    def describe(self) -> str:
        given = f" (reads {self.stdin})" if self.stdin else ""
        return f"{self.what}: {' '.join(self.argv)}{given}"

    @override
    def undone(self) -> str:
        return "what it did to the database is undone with that; anything else cannot be undone by the installer"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        if self.stdin is not None and self.stdin not in host.secrets:
            raise StepError("answer-missing", f"the answer {self.stdin} is not at hand")
        given = None if self.stdin is None else host.secrets[self.stdin] + "\n"
        run_for_product(host, self.what, self.argv, user=self.user, cwd=self.cwd, timeout=self.timeout, stdin=given)

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        """See the class."""


def run_for_product(
    host: Host, what: str, argv: tuple[str, ...], *, user: str, cwd: Path, timeout: float, stdin: str | None = None
) -> None:
    """Run a command of the product in `cwd`, which is its home too.

    Raises:
        StepError: it failed; no secret is in what it said.
    """
    try:
        host.run(argv, stdin=stdin, env={"HOME": str(cwd)}, cwd=cwd, timeout=timeout, user=user)
    except CommandError as error:
        hide = redactor(host.secrets.values())
        raise StepError(
            "product-command-failed",
            f"{what} failed: {argv[0]} exited with {error.returncode}",
            details=hide(error.details),
            remedy="the product's command says what is wrong; everything is put back",
        ) from None


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that blots `secrets` out of a text."""
    known = sorted(filter(None, set(secrets)), key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in known:
            text = text.replace(secret, "********")
        return text

    return hide
