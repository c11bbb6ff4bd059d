"""The command line of a bundle and of `<product>-ctl`. The only place that prints results and exits."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from installer.request import Action, ConfigConflicts, Request, check_request
from payload.errors import ExitCode, SealiftError, UsageError

BUNDLE_VARIABLE = "SEALIFT_BUNDLE"
NAME_PATTERN = r"[a-z][a-z0-9-]{0,30}"
_SHOW, _HOST, _CONTROL = "installer.show_commands", "installer.host_commands", "installer.control_cli"
_NODES = "installer.nodes.commands"
_MODULES: Mapping[Action, str] = {
    "version": _SHOW,
    "info": _SHOW,
    "list": _SHOW,
    "sbom": _SHOW,
    "provenance": _SHOW,
    "check": _SHOW,
    "extract": _SHOW,
    "cat": _SHOW,
    "dry-run": _HOST,
    "preflight": _HOST,
    "plan": _HOST,
    "install": _HOST,
    "resume": _HOST,
    "undo": _HOST,
}
"""The modules whose `run` carries out each action. They are imported by name when they are called, since what an
install needs takes longer to import than `--help` takes to print."""
_EXAMPLES = """
\b
Examples:
  bash {program} -o                      install from this file, no network needed
  bash {program} -R aliyun               packages from a mirror (names: --info)
  bash {program} -R auto                 packages from the mirror that is fastest from here
  bash {program} -u                      upgrade what is installed; packages as at the install
  bash {program} -o --dry-run            show every step, do nothing
  bash {program} -o --preflight          say what of this host does not fit
  bash {program} -o -y --config answers.toml --key vendor.pub
                                         unattended, with answers and the vendor's key
  bash {program} --undo                  after a crash: back to what was (--resume: on to the end;
                                         so does the same command again)

\b
Exit codes: 0 done or nothing to do, 2 usage, 10 damaged, 11 not trusted, 12 bad answers, 13 no mirror answers,
20 host does not fit, 21 another run is at work, 30 failed and undone, 31 failed and not all undone,
130 interrupted and undone.
"""


def bundle_app(program: str) -> typer.Typer:
    """The command of the bundle called `program`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.command(help=f"Install, upgrade or inspect what is in this file.\n{_EXAMPLES.format(program=program)}")
    def bundle(  # noqa: PLR0917 - typer reads the options from the parameters
        files: Annotated[
            list[str] | None, typer.Argument(metavar="[FILE]...", help="For --extract: paths or patterns with * and ?.")
        ] = None,
        offline: Annotated[bool, typer.Option("-o", "--offline", help="Packages from this file.")] = False,
        upgrade: Annotated[bool, typer.Option("-u", "--upgrade", help="Upgrade the installed release.")] = False,
        mirror: Annotated[
            str | None, typer.Option("-R", "--mirror", metavar="NAME|URL|auto", help="Packages from a mirror.")
        ] = None,
        bundle_first: Annotated[
            bool, typer.Option("--bundle-first", help="With -R: from the mirror only what this file lacks.")
        ] = False,
        mirrors: Annotated[
            Path | None, typer.Option("--mirrors", metavar="FILE", help="More mirrors for -R, as TOML.")
        ] = None,
        allow_irreversible: Annotated[
            bool,
            typer.Option("--allow-irreversible", help="Packages may change whose old versions are nowhere at hand."),
        ] = False,
        allow_removals: Annotated[
            bool, typer.Option("--allow-removals", help="Packages of this host may go if they are in the way.")
        ] = False,
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
        allow_older: Annotated[
            bool, typer.Option("--allow-older", help="Take a bundle older than what this host had before.")
        ] = False,
        allow_downgrade: Annotated[
            bool, typer.Option("--allow-downgrade", help="Install an older release over this one, with today's data.")
        ] = False,
        config_conflicts: Annotated[
            ConfigConflicts,
            typer.Option("--config-conflicts", help="Where you and the vendor changed the same lines: yours stay."),
        ] = "keep",
        events: Annotated[
            Path | None, typer.Option("--events", metavar="FILE", help="Write JSON events to FILE.")
        ] = None,
        info: Annotated[bool, typer.Option("--info", help="Say what this file is.")] = False,
        listing: Annotated[bool, typer.Option("--list", help="List every file inside.")] = False,
        sbom: Annotated[bool, typer.Option("--sbom", help="Print the bill of materials, CycloneDX JSON.")] = False,
        provenance: Annotated[
            bool, typer.Option("--provenance", help="Print how it was built, as an in-toto statement.")
        ] = False,
        check: Annotated[bool, typer.Option("--check", help="Check signature and every file.")] = False,
        extract: Annotated[
            Path | None, typer.Option("--extract", metavar="DIR", help="Unpack everything, or the FILES, into DIR.")
        ] = None,
        volumes: Annotated[
            list[Path] | None,
            typer.Option("--volumes", metavar="DIR", help="More folders with parts of a split bundle."),
        ] = None,
        cat: Annotated[
            str | None, typer.Option("--cat", metavar="FILE", help="Print one file of those inside.")
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, do nothing.")] = False,
        preflight: Annotated[bool, typer.Option("--preflight", help="Say what does not fit, do nothing.")] = False,
        resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was cut off.")] = False,
        undo: Annotated[bool, typer.Option("--undo", help="Put back what a run that was cut off did.")] = False,
        plan: Annotated[
            bool, typer.Option("--plan", help="Say what this host has; with --json, for the vendor's next upgrade.")
        ] = False,
        hosts: Annotated[
            Path | None,
            typer.Option(
                "--hosts", metavar="INVENTORY", help="With -u or --preflight: on all nodes that this file names."
            ),
        ] = None,
        report: Annotated[
            Path | None, typer.Option("--report", metavar="FILE", help="With --preflight: a page about it, as HTML.")
        ] = None,
        json_output: Annotated[bool, typer.Option("--json", help="JSON, for all that shows something.")] = False,
        version: Annotated[bool, typer.Option("--version", help="Show product and version.")] = False,
    ) -> None:
        wanted: dict[Action, bool] = {
            "version": version,
            "info": info,
            "list": listing,
            "sbom": sbom,
            "provenance": provenance,
            "check": check,
            "extract": extract is not None,
            "cat": cat is not None,
            "dry-run": dry_run,
            "preflight": preflight,
            "resume": resume,
            "undo": undo,
            "plan": plan,
        }
        request = Request(
            action=_one_action(wanted),
            offline=offline,
            upgrade=upgrade,
            mirror=mirror,
            bundle_first=bundle_first,
            mirrors_file=mirrors,
            allow_removals=allow_removals,
            allow_irreversible=allow_irreversible,
            prefix=root,
            yes=yes,
            start=not no_start,
            answers_file=config,
            key=key,
            allow_older=allow_older,
            allow_downgrade=allow_downgrade,
            config_conflicts=config_conflicts,
            events=events,
            extract_to=extract,
            cat=cat,
            patterns=tuple(files or ()),
            volumes=tuple(volumes or ()),
            json=json_output,
            report=report,
            hosts=hosts,
        )
        check_request(request, program)
        module = _MODULES[request.action] if request.hosts is None else _NODES
        run: Callable[[Request, Path], ExitCode] = import_module(module).run
        raise typer.Exit(run(request, Path(os.environ[BUNDLE_VARIABLE])))

    return app


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
    control_app: Callable[[str], typer.Typer] = import_module(_CONTROL).control_app
    return _guarded(control_app(product), words[2:], f"{product}-ctl")


def _guarded(app: typer.Typer, words: list[str], name: str) -> int:
    """Run `app`; every way to end becomes an exit code here and nowhere else."""
    try:
        result = typer.main.get_command(app).main(words, prog_name=name, standalone_mode=False)
    except TyperException as error:
        typer.echo(f"{name}: {error.format_message()} [usage]\nWhat to do: see {name} --help", err=True)
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
