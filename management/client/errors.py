"""What can go wrong between a client and the server."""

from typing import Any


class ClientError(Exception):
    """The server cannot be reached or trusted, does not understand, or did not finish in time."""


class ApiFailure(Exception):
    """The server answered that the call failed. `error` is its error object, causes nested inside."""

    def __init__(self, answer_name: str, error: dict[str, Any]) -> None:
        super().__init__(answer_name, error)
        self.answer_name = answer_name
        self.error = error

    @property
    def code(self) -> str:
        """E.g. `SYS.1003`."""
        return str(self.error.get("code"))

    def __str__(self) -> str:
        lines = [f"{self.answer_name} failed: {_line(self.error)}"]
        cause = self.error.get("cause")
        while cause:
            lines.append(f"  because: {_line(cause)}")
            cause = cause.get("cause")
        return "\n".join(lines)


def _line(error: dict[str, Any]) -> str:
    return f"[code: {error.get('code')}, description: {error.get('description')}, details: {error.get('details')}]"
