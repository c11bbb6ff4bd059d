"""The control commands that look after a product in the long run. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from installer.control_asking import Json, Yes, asker, confirm_key, installed_product
from installer.dialogue import on_terminal
from installer.screen import show


def add_upkeep(app: typer.Typer, product: str) -> None:
    """Add them to the commands of `product`."""

    @app.command()
    def verify(
        repair: Annotated[bool, typer.Option("--repair", help="Put back what can be had from this host.")] = False,
        yes: Yes = False,
        json_output: Json = False,
    ) -> None:
        """Say what of the product is not as its release has it: exit code 10 if something is not.

        Changes nothing without --repair, and with it nothing that you edited.
        """
        from installer.drift.command import repaired, verified  # noqa: PLC0415

        with installed_product(product, quiet=json_output) as installed:
            view, code = repaired(installed, asker(installed.sink, yes)) if repair else verified(installed)
        show(view, json_output)
        raise typer.Exit(code)

    @app.command()
    def resume() -> None:
        """Go on with a command of this program that was cut off, by a crash or a power cut. What a bundle began
        goes on with that bundle: bash BUNDLE --resume."""
        from installer import control_recovery  # noqa: PLC0415

        with installed_product(product) as installed:
            typer.echo("\n".join(control_recovery.resume(installed)))

    @app.command()
    def undo() -> None:
        """Put back what a run did that was cut off, by a crash or a power cut."""
        from installer import control_recovery  # noqa: PLC0415

        with installed_product(product) as installed:
            typer.echo("\n".join(control_recovery.undo(installed)))

    @app.command()
    def prune(
        keep: Annotated[int, typer.Option("--keep", metavar="N", min=0, help="So many older releases stay.")],
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, do nothing.")] = False,
        yes: Yes = False,
        json_output: Json = False,
    ) -> None:
        """Remove all releases but the current one and the N newest of the others, with what was kept for them."""
        from installer import pruning  # noqa: PLC0415

        with installed_product(product, quiet=json_output) as installed:
            view = pruning.prune(installed, keep, dry_run=dry_run, confirm=asker(installed.sink, yes))
        show(view, json_output)

    @app.command()
    def backup(
        archive: Annotated[Path, typer.Argument(metavar="FILE", help="The archive; not one that exists.")],
        json_output: Json = False,
    ) -> None:
        """Write the whole product to one archive: configuration, data, keys. It may run meanwhile."""
        from installer.backup.making import back_up_product  # noqa: PLC0415

        with installed_product(product, quiet=json_output) as installed:
            view = back_up_product(installed, archive)
        show(view, json_output)

    @app.command()
    def restore(
        archive: Annotated[Path, typer.Argument(metavar="FILE", help="What the command backup wrote.")],
        key: Annotated[
            str | None, typer.Option("--key", metavar="SHA256:...", help="Who signed it, if another host did.")
        ] = None,
        yes: Yes = False,
    ) -> None:
        """Replace configuration and data by those of an archive, on a host that has the same release installed."""
        from installer.backup.restoring import restore_product  # noqa: PLC0415

        with installed_product(product) as installed:
            ask_key = confirm_key if on_terminal() else None
            confirm = asker(installed.sink, yes)
            lines = restore_product(installed, archive, key=key, ask_key=ask_key, confirm=confirm)
            typer.echo("\n".join(lines))
