"""Talking with the person at the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.prompt import Confirm, Prompt

from payload.manifest import Answer
from payload.trust import Keyring


class TerminalDialogue:
    """Asks on the terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def confirm(self, question: str) -> bool:
        """See `Dialogue.confirm`."""
        return Confirm.ask(question, console=self._console, default=False)

    def confirm_keys(self, keyring: Keyring) -> bool:
        """See `Dialogue.confirm_keys`."""
        self._console.print("This host trusts no key yet. The bundle says it is signed by", style="yellow")
        for key in keyring.keys:
            self._console.print(f"    {key.fingerprint}  {key.comment}", markup=False, highlight=False)
        self._console.print("Compare this with the fingerprint that the vendor published elsewhere.")
        return self.confirm("Is it the same?")

    def answer(self, question: Answer) -> str:
        """See `Dialogue.answer`."""
        default = "" if question.default is None else str(question.default)
        while True:
            text = Prompt.ask(
                question.prompt,
                console=self._console,
                password=question.secret,
                default=default,
                show_default=bool(default),
            )
            if text or not question.secret:
                return text
