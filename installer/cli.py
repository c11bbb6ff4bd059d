"""The command line of a bundle and of `<product>-ctl`. The only place that prints results and exits."""

from __future__ import annotations

import os
import re
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated

import typer
from typer.exceptions import TyperException

from installer import flow, views
from installer.control_cli import control_app, show
from installer.dialogue import TerminalDialogue, on_terminal
from installer.request import Action, Request, check_request
from installer.session import Session, open_session
from payload.errors import ExitCode, SealiftError, UsageError
from payload.events import JsonSink, Sink, TeeSink, sink_for

BUNDLE_VARIABLE = "SEALIFT_BUNDLE"
NAME_PATTERN = r"[a-z][a-z0-9-]{0,30}"
_EXAMPLES = """
\b
Examples:
  bash {program} -o                      install from this file, no network needed
  bash {program} -R aliyun               packages from a mirror (names: --info)
  bash {program} -u                      upgrade what is installed
  bash {program} -o --dry-run            show every step, do nothing
  bash {program} -o --preflight          say what of this host does not fit
  bash {program} -o -y --config answers.toml --key vendor.pub
                                         unattended, with answers and the vendor's key

\b
Exit codes: 0 done or nothing to do, 2 usage, 10 damaged, 11 not trusted, 12 bad answers, 20 host does not fit,
21 another run is at work, 30 failed and undone, 31 failed and not all undone, 130 interrupted and undone.
"""


def bundle_app(program: str) -> typer.Typer:
    """The command of the bundle called `program`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.command(help=f"Install, upgrade or inspect what is in this file.\n{_EXAMPLES.format(program=program)}")
    def bundle(  # noqa: PLR0917 - typer reads the options from the parameters
        offline: Annotated[bool, typer.Option("-o", "--offline", help="Packages from this file.")] = False,
        upgrade: Annotated[bool, typer.Option("-u", "--upgrade", help="Upgrade the installed release.")] = False,
        mirror: Annotated[
            str | None, typer.Option("-R", "--mirror", metavar="NAME|URL|auto", help="Packages from a mirror.")
        ] = None,
        root: Annotated[
            Path | None, typer.Option("-r", "--root", metavar="DIR", help="Install below DIR, not /opt/<product>.")
        ] = None,
        yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
        no_start: Annotated[bool, typer.Option("-z", "--no-start", help="Do not start the services.")] = False,
        config: Annotated[
            Path | None, typer.Option("--config", metavar="FILE", help="Answers as TOML: name = value.")
        ] = None,
        key: Annotated[
            Path | None, typer.Option("--key", metavar="PUB", help="The vendor's public key, for a first install.")
        ] = None,
        events: Annotated[
            Path | None, typer.Option("--events", metavar="FILE", help="Write JSON events to FILE.")
        ] = None,
        info: Annotated[bool, typer.Option("--info", help="Say what this file is.")] = False,
        listing: Annotated[bool, typer.Option("--list", help="List every file inside.")] = False,
        check: Annotated[bool, typer.Option("--check", help="Check signature and every file.")] = False,
        extract: Annotated[
            Path | None, typer.Option("--extract", metavar="DIR", help="Unpack everything into DIR.")
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, do nothing.")] = False,
        preflight: Annotated[bool, typer.Option("--preflight", help="Say what does not fit, do nothing.")] = False,
        json_output: Annotated[
            bool, typer.Option("--json", help="For --info, --list, --check, --preflight, --dry-run.")
        ] = False,
        version: Annotated[bool, typer.Option("--version", help="Show product and version.")] = False,
    ) -> None:
        wanted: dict[Action, bool] = {
            "info": info or version,
            "list": listing,
            "check": check,
            "extract": extract is not None,
            "dry-run": dry_run,
            "preflight": preflight,
        }
        request = Request(
            action=_one_action(wanted),
            offline=offline,
            upgrade=upgrade,
            mirror=mirror,
            prefix=root,
            yes=yes,
            start=not no_start,
            answers_file=config,
            key=key,
            events=events,
            extract_to=extract,
            json=json_output,
        )
        run_bundle(check_request(request, program), version_only=version)

    return app


def run_bundle(request: Request, *, version_only: bool) -> None:
    """Carry out `request` with the bundle that the environment names, and print the result."""
    with ExitStack() as stack:
        screen = sink_for(sys.stderr, quiet=request.json)
        sink: Sink = screen
        if request.events is not None:
            sink = TeeSink(screen, JsonSink(stack.enter_context(_open_events(request.events))))
        stack.callback(sink.close)
        dialogue = TerminalDialogue() if on_terminal() and not request.json else None
        session = open_session(request, Path(os.environ[BUNDLE_VARIABLE]), sink, dialogue)
        if version_only:
            product = session.bundle.index.manifest.product
            typer.echo(f"{product.name} {product.version}")
        else:
            _perform(session)


def _open_events(path: Path) -> IO[str]:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w")
    except OSError as error:
        raise UsageError("events-unwritable", f"cannot write {path}: {error.strerror}") from error


def _perform(session: Session) -> None:
    match session.request.action:
        case "info":
            show(views.info(session), session.request.json)
        case "list":
            show(views.listing(session), session.request.json)
        case "check":
            show(views.check(session), session.request.json)
        case "extract":
            show(views.extract(session), session.request.json)
        case "dry-run":
            view, _ = views.dry_run(session, os.environ)
            show(view, session.request.json)
        case "preflight":
            view, prepared = views.preflight(session, os.environ)
            show(view, session.request.json)
            if any(finding.strict for finding in prepared.findings):
                raise typer.Exit(ExitCode.PREFLIGHT)
        case "install":
            lines = flow.install(session)
            session.sink.close()
            typer.echo("\n".join(lines))


def _one_action(wanted: dict[Action, bool]) -> Action:
    chosen = [action for action, given in wanted.items() if given]
    if len(chosen) > 1:
        raise UsageError(
            "two-actions", f"--{chosen[0]} and --{chosen[1]} exclude each other", remedy="give one of them at a time"
        )
    return chosen[0] if chosen else "install"


def main(argv: list[str] | None = None) -> int:
    """Run with `argv` and return the exit code."""
    words = sys.argv[1:] if argv is None else argv
    bundle = os.environ.get(BUNDLE_VARIABLE)
    if bundle is not None:
        program = Path(bundle).name
        return _guarded(bundle_app(program), words, f"bash {program}")
    if words[:1] != ["--product"] or len(words) < 2:
        typer.echo("this program is started by a bundle, or by a product's control command", err=True)
        return ExitCode.USAGE
    product = words[1]
    if not re.fullmatch(NAME_PATTERN, product):
        typer.echo(f"{product!r} is no product's name", err=True)
        return ExitCode.USAGE
    return _guarded(control_app(product), words[2:], f"{product}-ctl")


def _guarded(app: typer.Typer, words: list[str], name: str) -> int:
    """Run `app`; every way to end becomes an exit code here and nowhere else."""
    try:
        result = typer.main.get_command(app).main(words, prog_name=name, standalone_mode=False)
    except TyperException as error:
        typer.echo(f"{name}: {error} [usage]\nWhat to do: see {name} --help", err=True)
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt, EOFError):
        typer.echo(f"{name}: stopped; nothing was changed [interrupted]", err=True)
        return ExitCode.INTERRUPTED
    except SealiftError as error:
        typer.echo(f"{name}: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        typer.echo(traceback.format_exc(), err=True)
        typer.echo(f"{name}: a defect of this program: {error!r} [internal]", err=True)
        return ExitCode.INTERNAL
    return result if isinstance(result, int) else ExitCode.OK
