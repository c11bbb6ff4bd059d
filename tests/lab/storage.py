"""Where a host keeps what differs from the shared root: a folder, or a file system of limited size in a file."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.lab.process import run


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A host's changes, copied while it was off. Lives until the lab closes."""

    folder: Path
    limited: bool


@dataclass(frozen=True, slots=True)
class Storage:
    """The layer of one host. Nothing here may be called while the host runs, except the paths."""

    folder: Path
    size: str | None

    @property
    def merged(self) -> Path:
        """Where the launcher mounts the host's root, in its own mount namespace."""
        return self.folder / "merged"

    @property
    def layer(self) -> Path:
        return self.folder / "layer"

    @property
    def image(self) -> Path | None:
        """The file with the limited file system, if it is limited."""
        return self.folder / "layer.ext4" if self.size else None

    def create(self, hostname: str) -> None:
        """Make the empty layer with the host's identity as its first content."""
        seed = self.folder / "merged.seed"
        (seed / "etc").mkdir(parents=True)
        (seed / "etc/hostname").write_text(f"{hostname}\n")
        (seed / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        (seed / "etc/hosts").write_text(f"127.0.0.1 localhost {hostname}\n::1 localhost\n")
        for folder in (seed, seed / "etc"):
            folder.chmod(0o755)
        self.merged.mkdir()
        self.layer.mkdir()
        if self.image and self.size:
            run(["truncate", "-s", self.size, self.image])
            run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", self.image])

    def save(self, target: Path) -> Snapshot:
        """Copy the layer to `target`."""
        target.mkdir(parents=True)
        if self.image:
            run(["cp", "--sparse=always", self.image, target / "layer.ext4"])
        else:
            run(["cp", "-a", "--reflink=auto", self.layer, target / "layer"])
        return Snapshot(target, limited=self.image is not None)

    def load(self, snapshot: Snapshot) -> None:
        """Put a saved layer in place of this one.

        Raises:
            ValueError: one of the two is limited and the other is not.
        """
        if snapshot.limited != (self.image is not None):
            raise ValueError("a snapshot of a limited disk fits only a limited disk")
        if self.image:
            run(["cp", "--sparse=always", snapshot.folder / "layer.ext4", self.image])
        else:
            self.wipe()
            run(["cp", "-a", "--reflink=auto", f"{snapshot.folder}/layer/.", self.layer])

    def wipe(self) -> None:
        """Forget every change."""
        if self.image:
            self.image.unlink()
            run(["truncate", "-s", self.size or "0", self.image])
            run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", self.image])
            return
        shutil.rmtree(self.layer)
        self.layer.mkdir()
