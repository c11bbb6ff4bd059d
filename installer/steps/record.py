"""Writing down what is installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.state import parse_state
from installer.steps.base import Host, Step, register
from installer.steps.packages import ADDED_NAME
from installer.steps.saved import PUT_BACK, SavedFiles, restore, save
from installer.writing import write_file
from payload.effects import fsync_dir


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState(Step[SavedFiles]):
    """Write `state` (JSON), or remove the file when it is None.

    Which packages came in is known only after they did: they are read from the release that brought them.
    """

    kind: ClassVar[str] = "record"
    undo_type: ClassVar[type[Any]] = SavedFiles
    path: Path
    state: dict[str, Any] | None
    release: Path | None = None

    @override
    def describe(self) -> str:
        return f"record the new state in {self.path}" if self.state else f"remove the record {self.path}"

    @override
    def undone(self) -> str:
        return PUT_BACK

    @override
    def prepare(self, host: Host) -> SavedFiles:
        return save([self.path], host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        if self.state is None:
            self.path.unlink(missing_ok=True)
            fsync_dir(self.path.parent)
            return
        state = parse_state(json.dumps(self.state), self.path)
        added = self.release / ADDED_NAME if self.release else None
        if added is not None and added.exists():
            names = {*state.packages_added, *json.loads(added.read_text(encoding="utf-8"))}
            state = state.model_copy(update={"packages_added": tuple(sorted(names))})
        write_file(self.path, state.to_text().encode(), mode=0o600)

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        restore(undo)
