"""What is wanted of a host, and what was found to differ. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from payload.digest import Digest

Part = Literal[
    "release",
    "runtime",
    "python",
    "environment",
    "unit",
    "link",
    "folder",
    "config",
    "key",
    "image",
    "package",
    "run",
    "sysctl",
    "firewall",
]
"""What of the product something belongs to."""
Kind = Literal["changed", "missing", "mode", "owner", "disabled", "version", "unchecked", "unfinished", "edited"]
"""How it differs. `unchecked`: it could not be told; `edited`: by the operator, whose right that is."""
Fix = Literal["host", "bundle", "backup", "operator", "none"]
"""Where what is wanted can be had: on this host, in the bundle, in a backup; `operator`: somebody has to decide."""
_OTHERS_WRITE = 0o002


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file, folder or link as it ought to be. Without `mode`, only nobody else may write it."""

    path: Path
    part: Part
    shape: Literal["file", "folder", "link"] = "file"
    digest: Digest | None = None
    """Of a file's content; None when any content is right."""
    target: str = ""
    """Of a link."""
    mode: int | None = None
    user: str = "root"
    group: str = "root"
    editable: bool = False
    """The operator may change what is in it."""
    fix: Fix | None = None
    """Where it can be had; None where that follows from its part."""

    def mode_for(self, seen: int) -> int:
        """What the mode ought to be where it is `seen`."""
        return seen & ~_OTHERS_WRITE if self.mode is None else self.mode


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as wanted. `subject` is a path, or the name of a unit or package."""

    kind: Kind
    part: Part
    subject: str
    text: str
    fix: Fix
    wanted: Wanted | None = None
    """Of mode and owner: exactly what they ought to be."""

    @property
    def drift(self) -> bool:
        """Not so for what an operator may do."""
        return self.kind != "edited"

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.kind}: {self.subject}: {self.text}"

    def body(self) -> dict[str, Any]:
        """For programs."""
        named = {"kind": self.kind, "part": self.part, "subject": self.subject}
        return named | {"text": self.text, "drift": self.drift, "fix": self.fix}
