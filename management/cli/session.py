"""What the shell keeps between calls: the session of each server, readable by its owner only."""

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SessionFile:
    """`~/.sealift/cli/session`: one JSON object, server URL to session uuid."""

    path: Path

    @classmethod
    def of_user(cls) -> "SessionFile":
        return cls(state_dir() / "session")

    def load(self, url: str) -> str | None:
        """The session for `url`, if one is kept."""
        found = self._all().get(url)
        return found if isinstance(found, str) else None

    def save(self, url: str, session: str | None) -> None:
        """Keep a session; None forgets it."""
        kept = {key: value for key, value in self._all().items() if key != url}
        if session is not None:
            kept[url] = session
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(kept, stream)
        temporary.replace(self.path)

    def _all(self) -> dict[str, object]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def state_dir() -> Path:
    """Where the shell keeps its files."""
    return Path.home() / ".sealift" / "cli"
