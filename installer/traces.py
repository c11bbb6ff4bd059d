"""What a run leaves of itself on a host, for a run that is to leave nothing: its bundle turned out to be damaged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.layout import Layout
from installer.session import log_path
from installer.steps.saved import missing_parents, remove_empty


@dataclass(frozen=True, slots=True)
class Traces:
    """Files of a run, and the folders (deepest first) that were not there before it."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]

    @classmethod
    def before(cls, layout: Layout, run: str) -> Traces:
        """Look at the host before `run` begins, and before its lock is taken."""
        journal, log = layout.journal_dir / f"{run}.jsonl", log_path(layout, run)
        lock = () if layout.lock_file.exists() else (layout.lock_file,)
        folders = {
            *missing_parents(layout.scratch(run)),
            *missing_parents(journal.parent),
            *missing_parents(log.parent),
        }
        return cls((journal, log, *lock), tuple(sorted(folders, key=lambda path: len(path.parts), reverse=True)))

    def remove(self) -> None:
        """Remove them, after everything that the run did was put back."""
        for path in self.files:
            path.unlink(missing_ok=True)
        remove_empty(self.folders)
