"""The command line of `<product>-ctl`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from installer import control, pruning
from installer.dialogue import TerminalDialogue, on_terminal
from installer.drift.command import repaired, verified
from installer.installed import Installed, find
from installer.plan import Plan
from installer.screen import show
from installer.support.command import collected
from installer.watching import watch
from payload.errors import UsageError
from payload.events import Note, NullSink, Sink, sink_for

Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def control_app(product: str) -> typer.Typer:
    """The control commands of `product`."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=f"Look at {product}, start and stop it, go back to an earlier release, or remove it.",
    )

    @app.command()
    def status(
        watched: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
        interval: Annotated[
            float, typer.Option("--interval", metavar="SECONDS", min=0.1, help="With --watch: between two looks.")
        ] = 2.0,
        json_output: Json = False,
    ) -> None:
        """Show version, units and whether the product answers."""
        if watched:
            watch(lambda: control.status(find(product, NullSink())), sys.stdout, interval, as_json=json_output)
            return
        with _installed(product, quiet=json_output) as installed:
            show(control.status(installed), json_output)

    @app.command()
    def releases(json_output: Json = False) -> None:
        """List the releases on this host; the current one has a star."""
        with _installed(product, quiet=json_output) as installed:
            show(control.releases(installed), json_output)

    @app.command()
    def verify(
        repair: Annotated[bool, typer.Option("--repair", help="Put back what can be had from this host.")] = False,
        yes: Yes = False,
        json_output: Json = False,
    ) -> None:
        """Say what of the product is not as its release has it: exit code 10 if something is not.

        Changes nothing without --repair, and with it nothing that you edited.
        """
        with _installed(product, quiet=json_output) as installed:
            view, code = repaired(installed, _asker(installed.sink, yes)) if repair else verified(installed)
        show(view, json_output)
        raise typer.Exit(code)

    @app.command()
    def start() -> None:
        """Start the product and wait until it answers."""
        with _installed(product) as installed:
            typer.echo("\n".join(control.start(installed)))

    @app.command()
    def stop() -> None:
        """Stop the product."""
        with _installed(product) as installed:
            typer.echo("\n".join(control.stop(installed)))

    @app.command()
    def rollback(
        to: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="The release to go back to.")] = None,
        yes: Yes = False,
    ) -> None:
        """Go back to an earlier release, its database and its configuration. Needs no network."""
        with _installed(product) as installed:
            lines = control.rollback(installed, to, _asker(installed.sink, yes))
            typer.echo("\n".join(lines))

    @app.command()
    def prune(
        keep: Annotated[int, typer.Option("--keep", metavar="N", min=0, help="So many older releases stay.")],
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, do nothing.")] = False,
        yes: Yes = False,
        json_output: Json = False,
    ) -> None:
        """Remove all releases but the current one and the N newest of the others, with what was kept for them."""
        with _installed(product, quiet=json_output) as installed:
            view = pruning.prune(installed, keep, dry_run=dry_run, confirm=_asker(installed.sink, yes))
        show(view, json_output)

    @app.command()
    def uninstall(
        purge: Annotated[bool, typer.Option("--purge", help="Configuration, data, logs and user too.")] = False,
        yes: Yes = False,
    ) -> None:
        """Remove the product. Configuration and data stay unless --purge is given."""
        with _installed(product) as installed:
            lines = control.uninstall(installed, purge=purge, confirm=_asker(installed.sink, yes))
            typer.echo("\n".join(lines))

    @app.command()
    def collect(
        output: Annotated[
            Path | None, typer.Option("--output", "-o", metavar="FILE.tar.gz", help="The archive; not one that exists.")
        ] = None,
        json_output: Json = False,
    ) -> None:
        """Write an archive for support: logs, configuration, state of the host. Secrets are removed.

        It works when the product does not run, and when its state file is damaged.
        """
        with closing(sink_for(sys.stderr, quiet=json_output)) as sink:
            show(collected(product, output, sink), json_output)

    @app.command("serve-repository")
    def serve_repository(
        folder: Annotated[Path, typer.Argument(help="The repository: a folder that has repodata/.")],
        listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to answer.")],
    ) -> None:
        """Serve packages to other hosts over HTTP. The product's own unit calls this; it needs no rights."""
        control.serve_repository(folder, listen)

    return app


@contextmanager
def _installed(product: str, *, quiet: bool = False) -> Iterator[Installed]:
    sink = sink_for(sys.stderr, quiet=quiet)
    try:
        yield find(product, sink)
    finally:
        sink.close()


def _asker(sink: Sink, yes: bool) -> Callable[[Plan], bool]:
    """What changes an installed product asks first; without a terminal only -y goes on."""

    def ask(plan: Plan) -> bool:
        if yes:
            return True
        if not on_terminal():
            raise UsageError("not-confirmed", "nobody is there to confirm", remedy="give -y to go on without asking")
        for line in plan.lines():
            sink.emit(Note(line))
        return TerminalDialogue().confirm(_question(plan))

    return ask


def _question(plan: Plan) -> str:
    if plan.mode == "prune":
        return f"remove these releases of {plan.product} now?"
    to = "to " if plan.mode == "rollback" else ""
    return f"{plan.mode} {to}{plan.product} {plan.version} now?"
