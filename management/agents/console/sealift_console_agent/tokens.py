"""The token files that websockify looks up: one per VM, `TOKEN: host:port`."""

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[0-9A-Za-z-]{1,64}")
_TOKEN = re.compile(r"[0-9A-Za-z_-]{8,128}")
_HOST = re.compile(r"[0-9A-Za-z.:-]{1,255}")


@dataclass(frozen=True, slots=True)
class Access:
    """Whoever shows `token` is connected to `host`:`port`."""

    token: str
    host: str
    port: int

    def __post_init__(self) -> None:
        # The file is line based: a blank or newline here would smuggle in another entry.
        if not (_TOKEN.fullmatch(self.token) and _HOST.fullmatch(self.host) and 0 < self.port < 65536):
            raise ValueError("token, targetHostname or targetPort has the wrong form")

    @property
    def line(self) -> str:
        return f"{self.token}: {self.host}:{self.port}\n"


class TokenStore:
    """`directory` is what websockify reads; half-written files stay outside of it."""

    def __init__(self, state_dir: Path) -> None:
        self.directory = state_dir / "tokens"
        self._incoming = state_dir / "incoming"
        for folder in (self.directory, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, vm: str, access: Access) -> None:
        """Give access to a VM's console; an earlier token of that VM ends."""
        temporary = self._incoming / secrets.token_hex(8)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(access.line)
        temporary.replace(self._file(vm))

    def holds(self, access: Access) -> bool:
        """True when exactly this access is in force."""
        return any(file.read_text(encoding="ascii") == access.line for file in self.directory.iterdir())

    def drop(self, vm: str) -> None:
        """End the access to a VM's console, if there is one."""
        self._file(vm).unlink(missing_ok=True)

    def _file(self, vm: str) -> Path:
        if not _NAME.fullmatch(vm):
            raise ValueError("vmUuid has the wrong form")
        return self.directory / vm
