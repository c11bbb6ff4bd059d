"""The shell's history: one file of lines for its owner only, in which no secret is ever written."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

KEPT = 1000
_QUOTED = r"""(?:"(?:\\.|[^"\\])*(?:"|$)|'[^']*(?:'|$)|\\.|[^\s"'\\])*"""
_SECRET = re.compile(rf"((?:password|sessionUuid)=){_QUOTED}", re.IGNORECASE | re.DOTALL)


def blank_secrets(line: str) -> str:
    """`line` as it may be remembered."""
    return _SECRET.sub(r"\1******", line)


class ShellHistory(History):
    """The newest `KEPT` lines of `file`; a line is blanked before it is remembered at all."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def append_string(self, string: str) -> None:
        super().append_string(blank_secrets(string))

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        return reversed(self._lines()[-KEPT:])

    def store_string(self, string: str) -> None:
        lines = [*self._lines()[1 - KEPT :], " ".join(string.splitlines())]
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._file.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)
        temporary.replace(self._file)

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
