"""`sealift-cli`: one command when words are given, the shell otherwise.

Exit codes: 0 done, 1 the command could not be sent, 3 the server says that it failed.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from management import __version__
from management.cli.commands import Commands
from management.cli.errors import EXIT_API, EXIT_CLI, FAILURES, Failure
from management.cli.output import OUTPUTS
from management.cli.session import SessionFile, state_dir
from management.client.connection import Connection, Server
from management.client.errors import ApiFailure

HELP = """Talk to a Sealift management server.

Without words: an interactive shell with the prompt >>> (Tab completes, "help" lists what the server can do);
when standard input is no terminal, the commands on it, one a line.
With words: one command, e.g.

\b
  sealift-cli LogInByAccount accountName=admin
  sealift-cli QueryHost status=Connected fields=uuid,name sortBy=name
  sealift-cli AddKVMHost name=host1 managementIp=10.0.0.5 password-file=/root/host1.password
  sealift-cli ReconnectConsoleProxyAgent
  sealift-cli --output table QueryImage fields=name,status

Passwords: leave password= out. You are asked on the terminal; without one, a line of standard input is taken;
password-file=PATH reads the first line of a file. password=... works too, but other users can see it in the
list of processes.

\b
TLS: this very host is spoken to without it. Of a server on another host, the certificate must be signed by the
authority in --ca FILE, or in ~/.sealift/cli/ca.pem, or by one that this system trusts. `sealift-server show-authority`
prints it on the server's host.

\b
Query conditions: name=value  name!=value  name>value  name>=value  name<value  name<=value
  name?=a,b (in)  name!?=a,b (not in)  name~=part (like)  name!~=part (not like)  name=null  name!=null
Query options: fields=a,b  count=true  replyWithCount=true  limit=n  start=n  sortBy=name  sortDirection=desc

Exit codes: 0 done, 1 the command could not be sent, 3 the server says that it failed. Of commands on standard
input, each is done, and the code is that of the first that failed.
"""

RED, PLAIN = "\x1b[91m", "\x1b[0m"


class Output(StrEnum):
    JSON = "json"
    TABLE = "table"
    YAML = "yaml"


cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@cli.command(
    help=HELP,
    context_settings={
        "help_option_names": ["--help"],
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)
def run(
    words: Annotated[list[str] | None, typer.Argument(help="Verb name=value ...", show_default=False)] = None,
    *,
    host: Annotated[str, typer.Option("-H", "--host", help="Where the server is.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("-p", "--port", help="Its port; 8443, or 8080 without TLS.", show_default=False)
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="The authority that its certificate is checked with.", show_default=False)
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="How answers are printed.")] = Output.JSON,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        print(__version__)
        return
    try:
        server = Server(host, port, ca or _kept_authority(host))
        with Connection(server) as connection:
            code = _run(Commands(connection, SessionFile.of_user(), OUTPUTS[output.value]), words)
    except FAILURES as error:
        code = _report(error)
    raise typer.Exit(code)


def _run(commands: Commands, words: list[str] | None) -> int:
    if not words:
        from management.cli.shell import interact, run_lines  # noqa: PLC0415 -- a single command need not wait for it

        return (interact if sys.stdin.isatty() else run_lines)(commands, _report)
    print(commands.run(words))
    return 0


def _kept_authority(host: str) -> Path | None:
    """What the user keeps for every server on another host; this host is spoken to without TLS."""
    kept = state_dir() / "ca.pem"
    return kept if Server(host).tls and kept.is_file() else None


def _report(error: Failure) -> int:
    sys.stdout.flush()
    print(f"{RED}{error}{PLAIN}" if sys.stderr.isatty() else error, file=sys.stderr)
    return EXIT_API if isinstance(error, ApiFailure) else EXIT_CLI


def main() -> None:
    """The console script."""
    cli()


if __name__ == "__main__":
    main()
