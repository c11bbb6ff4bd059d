"""The API's error object: stable codes, one description each, details of our own."""

from typing import Any

MAX_DETAILS = 4096

DESCRIPTIONS = {
    "SYS.1000": "The server met an internal error",
    "SYS.1001": "The call took longer than it may",
    "SYS.1002": "A resource could not be made",
    "SYS.1003": "A resource can not be found",
    "SYS.1004": "A resource could not be deleted",
    "SYS.1006": "An operation failed",
    "SYS.1007": "One or more API arguments are invalid",
    "SYS.1008": "The message is not known to this server",
    "SYS.1010": "The management node is not ready yet",
    "SYS.1012": "The management node is unavailable",
    "SYS.1015": "An HTTP call to an agent failed",
    "ID.1000": "Login was refused",
    "ID.1001": "A valid session is needed",
    "ID.1002": "The account may not do this",
    "HOST.1000": "Unable to add host",
    "HOST.1002": "Unable to reconnect host",
    "HOST.1003": "Unable to talk to the host's agent",
    "HOST.1005": "Unable to start the VM on its host",
    "HOST.1006": "Unable to stop the VM on its host",
    "HOST.1007": "Unable to reboot the VM on its host",
    "HOST.1008": "Unable to destroy the VM on its host",
    "HOST.1009": "Unable to move the VM to another host",
    "HOST.1010": "The host is disconnected, the operation is not possible",
    "L3.1000": "The network has no free address",
    "VM.1010": "The VM's state does not allow this",
}


class ApiError(Exception):
    """A call failed in a way that its caller is told about."""

    def __init__(self, code: str, details: str, cause: "ApiError | None" = None) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details
        self.cause = cause

    def has(self, code: str) -> bool:
        """Whether it, or one of its causes, has this code."""
        return self.code == code or (self.cause is not None and self.cause.has(code))

    def to_wire(self) -> dict[str, Any]:
        """The error object of the API; causes are nested in the same shape."""
        wire: dict[str, Any] = {
            "code": self.code,
            "description": DESCRIPTIONS[self.code],
            "details": self.details[:MAX_DETAILS],
        }
        if self.cause is not None:
            wire["cause"] = self.cause.to_wire()
        return wire
