"""The sink for people: progress bars with rates and remaining time."""

from __future__ import annotations

from typing import IO

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from payload.events import Advanced, Event, Failed, Finished, Measured, Note, Started
from payload.sinks import plain_line


class _WhenSized(ProgressColumn):
    """Another column, for stages whose size is known."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        """See `ProgressColumn.render`."""
        return "" if task.total is None else self._column.render(task)


class TerminalSink:
    """Progress bars with rates and remaining time on a terminal, finished stages as lines above them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *map(_WhenSized, (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""
        match event:
            case Started(stage, text, total):
                self._tasks[stage] = self._progress.add_task(text, total=total)
            case Advanced(stage, amount):
                if stage in self._tasks:
                    self._progress.advance(self._tasks[stage], amount)
            case Finished(stage, text, seconds):
                self._drop(stage)
                self._console.print(Text.assemble(("✔ ", "green"), text, (f" ({seconds:.1f} s)", "dim")))
            case Failed(stage, text):
                self._drop(stage)
                self._console.print(Text.assemble(("✘ ", "red"), text))
            case Measured():
                self._console.print(plain_line(event), highlight=False, markup=False)
            case Note(text, level) if level != "detail":
                self._console.print(text, style="yellow" if level == "warning" else None, highlight=False, markup=False)

    def _drop(self, stage: str) -> None:
        if stage in self._tasks:
            self._progress.remove_task(self._tasks.pop(stage))

    def close(self) -> None:
        """See `Sink.close`."""
        self._progress.stop()


def terminal_sink(out: IO[str]) -> TerminalSink:
    """The sink for the terminal that `out` is."""
    return TerminalSink(Console(file=out))
