"""Somebody to talk with, when there is one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from payload.trust import Keyring

if TYPE_CHECKING:
    from payload.manifest import Answer


class Dialogue(Protocol):
    """Somebody who can be asked."""

    def confirm(self, question: str) -> bool:
        """Yes or no; no is the default."""

    def confirm_keys(self, keyring: Keyring) -> bool:
        """Are these the vendor's keys?"""

    def answer(self, question: Answer) -> str:
        """The answer to a question of the manifest; empty for its default."""


def on_terminal() -> bool:
    """Is a person there to be asked?"""
    return sys.stdin.isatty() and sys.stderr.isatty()


def at_terminal() -> Dialogue:
    """The person who is there. What draws on a terminal is loaded only now: runs without one start sooner."""
    from installer.terminal_dialogue import TerminalDialogue  # noqa: PLC0415

    return TerminalDialogue()
