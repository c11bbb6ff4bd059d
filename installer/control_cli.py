"""The command line of `<product>-ctl`. What only one of its commands needs is imported there."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from installer import control
from installer.control_asking import Json, Yes, asker, installed_product
from installer.control_upkeep import add_upkeep
from installer.installed import find
from installer.screen import show
from payload.events import NullSink
from payload.output import sink_for


def control_app(product: str) -> typer.Typer:
    """The control commands of `product`."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=f"Look at {product}, start and stop it, back it up, go back to an earlier release, or remove it.",
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
            from installer.watching import watch  # noqa: PLC0415

            watch(lambda: control.status(find(product, NullSink())), sys.stdout, interval, as_json=json_output)
            return
        with installed_product(product, quiet=json_output) as installed:
            show(control.status(installed), json_output)

    @app.command()
    def releases(json_output: Json = False) -> None:
        """List the releases on this host; the current one has a star."""
        with installed_product(product, quiet=json_output) as installed:
            show(control.releases(installed), json_output)

    @app.command()
    def plan(json_output: Json = False) -> None:
        """Say what this host has. With --json: what the vendor builds the smallest upgrade bundle from."""
        from installer.site_plan import site_plan  # noqa: PLC0415

        with installed_product(product, quiet=json_output) as installed:
            show(site_plan(installed), json_output)

    @app.command()
    def start() -> None:
        """Start the product and wait until it answers."""
        with installed_product(product) as installed:
            typer.echo("\n".join(control.start(installed)))

    @app.command()
    def stop() -> None:
        """Stop the product."""
        with installed_product(product) as installed:
            typer.echo("\n".join(control.stop(installed)))

    @app.command()
    def rollback(
        to: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="The release to go back to.")] = None,
        yes: Yes = False,
    ) -> None:
        """Go back to an earlier release, its database and its configuration. Needs no network."""
        with installed_product(product) as installed:
            lines = control.rollback(installed, to, asker(installed.sink, yes))
            typer.echo("\n".join(lines))

    @app.command()
    def uninstall(
        purge: Annotated[bool, typer.Option("--purge", help="Configuration, data, logs and user too.")] = False,
        yes: Yes = False,
    ) -> None:
        """Remove the product. Configuration and data stay unless --purge is given."""
        with installed_product(product) as installed:
            lines = control.uninstall(installed, purge=purge, confirm=asker(installed.sink, yes))
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
        from installer.support.command import collected  # noqa: PLC0415

        with closing(sink_for(sys.stderr, quiet=json_output)) as sink:
            show(collected(product, output, sink), json_output)

    @app.command("serve-repository")
    def serve_repository(
        folder: Annotated[Path, typer.Argument(help="The repository: a folder that has repodata/.")],
        listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to answer.")],
    ) -> None:
        """Serve packages to other hosts over HTTP. The product's own unit calls this; it needs no rights."""
        control.serve_repository(folder, listen)

    add_upkeep(app, product)
    return app
