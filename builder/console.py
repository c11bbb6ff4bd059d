"""How a command talks: events while it runs, one result at its end, and an exit code for whatever went wrong."""

from __future__ import annotations

import json as jsonlib
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import typer

from payload.errors import ExitCode, SealiftError
from payload.events import Sink
from payload.output import sink_for


@dataclass(frozen=True, slots=True)
class Console:
    """The streams of one command: results on stdout; events on stderr, or on stdout as JSON."""

    sink: Sink
    json: bool

    def result(self, values: Mapping[str, object], text: str) -> None:
        """Show what the command found: as a JSON line, or as text."""
        self.sink.close()
        if self.json:
            text = jsonlib.dumps({"event": "result", **values}, ensure_ascii=False)
        print(text, file=sys.stdout, flush=True)

    def error(self, error: SealiftError) -> None:
        """Show what went wrong."""
        self.sink.close()
        if self.json:
            values = {"code": error.code, "brief": error.brief, "details": error.details, "remedy": error.remedy}
            print(jsonlib.dumps({"event": "error", **values}, ensure_ascii=False), file=sys.stdout, flush=True)
        else:
            print(f"sealift: {error}", file=sys.stderr, flush=True)


@contextmanager
def command(*, json: bool, quiet: bool) -> Iterator[Console]:
    """Run a command's body; an expected failure or a signal becomes its exit code.

    Raises:
        typer.Exit: with that code.
    """
    console = Console(sink_for(sys.stdout if json else sys.stderr, json_lines=json, quiet=quiet), json)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield console
    except SealiftError as error:
        console.error(error)
        raise typer.Exit(error.exit_code) from error
    except OSError as error:
        console.error(_from_system(error))
        raise typer.Exit(ExitCode.INPUT) from error
    except KeyboardInterrupt:
        console.error(SealiftError("interrupted", "stopped; no file was made or changed"))
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        console.sink.close()


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _from_system(error: OSError) -> SealiftError:
    where = f"{error.filename}: " if error.filename else ""
    return SealiftError("system-error", f"{where}{error.strerror or error}", remedy="look at the file and its disk")
