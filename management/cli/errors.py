"""What can go wrong in the shell, and the exit codes that scripts see."""

from typing import Any

EXIT_CLI = 1
EXIT_API = 3


class CliError(Exception):
    """The command cannot be sent: wrong words, no session, no server."""


class ApiFailure(Exception):
    """The server answered that the call failed."""

    def __init__(self, answer_name: str, error: dict[str, Any]) -> None:
        super().__init__(answer_name, error)
        self.answer_name = answer_name
        self.error = error

    def __str__(self) -> str:
        lines = [f"{self.answer_name} failed: {_line(self.error)}"]
        cause = self.error.get("cause")
        while cause:
            lines.append(f"  because: {_line(cause)}")
            cause = cause.get("cause")
        return "\n".join(lines)


def _line(error: dict[str, Any]) -> str:
    return f"[code: {error.get('code')}, description: {error.get('description')}, details: {error.get('details')}]"
