"""`sealift-server`: serve, and the few things an installer does before that.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 refused because the schema is newer.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from management import __version__
from management.server.commanderror import CommandError
from management.server.config import Config, copy_url, load_config

if TYPE_CHECKING:
    from management.server.database import Database

# Modules are imported by the commands that need them: an upgrade runs several while the product is away.
# ruff: noqa: PLC0415

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@cli.callback()
def options(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="The server's TOML configuration.")] = Path("/etc/sealift/server.toml"),
) -> None:
    """The management server of Sealift's reference product."""
    context.obj = config


@cli.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@cli.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    from management.server import apis
    from management.server.messages import discover
    from management.server.openapi import describe_api

    typer.echo(json.dumps(describe_api(discover(apis), __version__), indent=2))


@cli.command()
def migrate(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(help="A schema, such as 1.0.0, to go forward or back to.")] = None,
    copy: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="Try it on this copy of the database instead, there and back: an SQLite file, or postgresql://…",
        ),
    ] = None,
) -> None:
    """Bring the database to this release's schema, or to another one: all of it, or nothing.

    Going back drops what the older schema has no place for. Stop the server and take a backup first.
    """
    from management.server import schema
    from management.server.database import Database

    if copy is None:
        before = schema.migrate(_database(_config(context)), to)
    else:
        before = schema.rehearse(Database(copy_url(copy)), to)
    wanted = to or before.head
    if before.newer:
        typer.echo(f"schema {before.current} is a newer release's, and serves {before.head}: nothing to do")
    elif before.current == wanted:
        typer.echo(f"schema {wanted}: nothing to do")
    else:
        typer.echo(f"schema {before.current or 'none'} -> {wanted}")


@cli.command("set-admin-password")
def set_admin_password(
    context: typer.Context,
    if_unset: Annotated[bool, typer.Option("--if-unset", help="Keep a password that is there.")] = False,
) -> None:
    """Set the password of account admin, read from standard input (one line)."""
    from management.server import passwords

    database = _migrated(_config(context))
    if sys.stdin.isatty():
        password = typer.prompt("New password for admin", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    done = passwords.set_password(database, "admin", password, if_unset=if_unset)
    typer.echo("the password of admin is set" if done else "admin has a password; it was kept")


@cli.command("register-images")
def register_images(context: typer.Context, file: Path) -> None:
    """Register the images in FILE (a JSON array; - is standard input)."""
    from management.server import images

    database = _migrated(_config(context))
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    specs = images.parse_specs(text)
    typer.echo(f"{len(specs)} images, {images.register(database, specs)} changed")


@cli.command("remove-agents")
def remove_agents(context: typer.Context) -> None:
    """Take our agents off this host, before the product goes. Other hosts keep theirs: delete those hosts first."""
    from management.deploy.deployer import Deployer, DeployError, Places
    from management.deploy.desired import Target
    from management.effects import Processes
    from management.server.certificates import Certificates

    config = _config(context)
    authority = Certificates(config.certificates_dir).authority
    places = Places(config.agents_dir, config.keys_dir, config.data_dir, authority)
    deployer = Deployer(Processes(), places, config.deploy_timeout_seconds)
    try:
        deployer.remove_all(Target(str(config.management_ip), config.ssh_port, "root"))
    except DeployError as error:  # an agent that cannot be reached must not keep the product from being removed
        typer.echo(f"sealift-server: {error}", err=True)


@cli.command("make-certificates")
def make_certificates(context: typer.Context) -> None:
    """Make what is missing or about to expire: this install's authority, and this node's certificate."""
    from management.server.certificates import Certificates

    config = _config(context)
    made = Certificates(config.certificates_dir).ensure(config.certificate_names())
    typer.echo(f"made: {', '.join(made)}" if made else "the certificates are there; nothing to do")


@cli.command("rotate-certificates")
def rotate_certificates(
    context: typer.Context,
    authority: Annotated[
        bool, typer.Option("--authority", help="A new authority too: hand its certificate out anew.")
    ] = False,
) -> None:
    """Make a new certificate for this node. Restart the server; agents follow when it connects their hosts."""
    from management.server.certificates import Certificates

    config = _config(context)
    made = Certificates(config.certificates_dir).rotate(config.certificate_names(), authority=authority)
    typer.echo(f"made: {', '.join(made)}; restart the server")


@cli.command("show-authority")
def show_authority(context: typer.Context) -> None:
    """Print the certificate that shells on other hosts need (sealift-cli --ca FILE). It is no secret."""
    from management.server.certificates import Certificates

    typer.echo(Certificates(_config(context).certificates_dir).authority.read_text(encoding="ascii"), nl=False)


@cli.command()
def serve(context: typer.Context) -> None:
    """Serve until a signal says stop."""
    import asyncio

    from management.server import logs, serving

    config = _config(context)
    logs.configure(config.log_level)
    _migrated(config).close()
    asyncio.run(serving.serve(config))


def main() -> None:
    """Run the command line; every expected failure becomes one line and an exit code."""
    os.umask(0o077)
    try:
        cli()
    except CommandError as error:
        raise SystemExit(_say(error, error.code)) from error
    except (SQLAlchemyError, OSError) as error:
        raise SystemExit(_say(error, CommandError.code)) from error


def _say(error: Exception, code: int) -> int:
    typer.echo(f"sealift-server: {error}", err=True)
    return code


def _config(context: typer.Context) -> Config:
    path: Path = context.obj
    return load_config(path)


def _database(config: Config) -> "Database":
    from management.server.database import Database

    if not config.data_dir.is_dir():
        raise CommandError(f"the data folder {config.data_dir} does not exist")
    return Database(config.database_url())


def _migrated(config: Config) -> "Database":
    from management.server.schema import require_usable

    database = _database(config)
    require_usable(database)
    return database


if __name__ == "__main__":
    main()
