"""A host that is a folder: bundles are installed below a root of its own, and only systemd is played."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from installer import flow
from installer.installed import Installed, find
from installer.layout import Layout
from installer.request import Request
from installer.session import Session, open_session
from payload.events import NullSink
from tests.unit.installer.products import FakeSystemd

INSTALL = Request(action="install", offline=True, yes=True)
UPGRADE = Request(action="install", upgrade=True, yes=True)


@dataclass
class Lab:
    """The host below `root`, and bundles by version."""

    root: Path
    bundles: dict[str, Path]
    systemd: FakeSystemd = field(default_factory=FakeSystemd)

    @property
    def layout(self) -> Layout:
        return Layout.of("app", root=self.root)

    def session(self, version: str, request: Request) -> Session:
        return open_session(request, self.bundles[version], NullSink(), None, root=self.root, run=self.systemd)

    def run(self, version: str, request: Request = INSTALL) -> tuple[str, ...]:
        return flow.install(self.session(version, request))

    def found(self) -> Installed:
        return find("app", NullSink(), root=self.root, run=self.systemd)

    def log(self, folder: Path | None = None) -> list[str]:
        with closing(sqlite3.connect((folder or self.layout.data_dir) / "app.sqlite")) as database:
            return [row[0] for row in database.execute("select what from log")]

    def tree(self) -> dict[str, str]:
        """Every file and link, but the installer's own notes and what changes by itself."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if name.startswith(("var/log", "var/lib/app/installer/")) and not name.endswith("state.json"):
                continue
            if "__pycache__" in name:
                continue
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_file():
                info = path.stat()
                found[name] = f"{info.st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            else:
                found[name] = "folder"
        return found
