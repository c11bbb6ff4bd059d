"""`sealift runtime`: the portable Python of bundles for old hosts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from builder import report
from builder.console import command
from builder.portable.build import build_portable
from builder.portable.interpreter import examine
from payload.store import Store

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The portable Python that bundles for old hosts carry.",
)


@app.callback()
def runtime() -> None:
    """The portable Python that bundles for old hosts carry."""


@app.command()
def build(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE.tar.gz", help="Also copy it there, for other machines."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Cache of artifacts.", show_default="~/.cache/sealift/store"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Events and results as JSON lines on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; results and errors only.")] = False,
) -> None:
    """Build a CPython that starts on every x86_64 Linux with glibc 2.17, from source.

    It takes some minutes, and is done once: afterwards it is found in the store. `sealift lock` does the same when a
    manifest has `[runtime] python = "portable"`. It needs Debian, whose archive has the sources.

    \b
    Example:
      sealift runtime build --out python-portable.tar.gz
    """
    with command(json=json, quiet=quiet) as console:
        cache = Store(store)
        digest = build_portable(cache, console.sink)
        archive = cache.path(digest)
        if out is not None:
            shutil.copyfile(archive, out)
        console.result(*report.portable(out or archive, digest, *examine(archive)))
