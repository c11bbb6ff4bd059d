"""`sealift mirror`: the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder import mirror_report as report
from builder.console import command
from builder.mirror import compare, mirror_keys, sync
from payload.errors import InputError, IntegrityError
from payload.events import stage
from payload.store import Store
from repos.baseline import capture_baseline, read_baseline
from repos.checking import check_repository, read_repository
from repos.repomd import REPOMD
from repos.serving import FolderFiles, RepositoryServer

app = typer.Typer(no_args_is_help=True, help="A mirror of exactly the packages that are wanted, without a bundle.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A mirror: a folder with repodata.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Events and results as JSON lines on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; results and errors only.")]


@app.command("sync")
def sync_mirror(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The mirror's manifest, a TOML file.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The mirror to make, or to bring up to date.")],
    *,
    rpm_key: Annotated[
        Path | None,
        typer.Option("--rpm-key", metavar="KEY.gpg", help="Sign the metadata with this secret OpenPGP key, armored."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Cache of artifacts.", show_default="~/.cache/sealift/store"),
    ] = None,
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Make DIR the repository that MANIFEST describes: fetched, verified, complete, signed.

    \b
    Example:
      sealift keygen --rpm mirror.gpg
      sealift mirror sync mirror.toml /srv/mirror --rpm-key mirror.gpg
    """
    with command(json=json, quiet=quiet) as console:
        console.result(*report.synced(sync(manifest, folder, rpm_key=rpm_key, store=Store(store), sink=console.sink)))


@app.command("list")
def list_packages(folder: Folder, json: JsonLines = False) -> None:
    """Show the packages of a mirror.

    \b
    Example:
      sealift mirror list /srv/mirror
    """
    with command(json=json, quiet=True) as console:
        console.result(*report.listed(read_repository(_mirror(folder))))


@app.command("check")
def check_mirror(
    folder: Folder,
    *,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="KEY", help="A public key to trust; may be repeated.", show_default="DIR's own"),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="What hosts have: see mirror baseline.")
    ] = None,
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Check every byte, every signature, and that nothing which a package needs is missing.

    \b
    Example:
      sealift mirror check /srv/mirror --key vendor.asc --baseline el9-minimal.txt
    """
    with command(json=json, quiet=quiet) as console:
        keys = key or mirror_keys(_mirror(folder))
        with stage(console.sink, "check", f"read {folder}"):
            checked = check_repository(folder, keys, baseline=read_baseline(baseline) if baseline else ())
        if checked.findings:
            raise IntegrityError(
                "mirror-faults",
                f"{folder} has {len(checked.findings)} faults",
                details="\n".join(f"{finding.where} {finding.what}" for finding in checked.findings),
                remedy="sync it again; what a package needs may come from another upstream, or be in a baseline",
            )
        console.result(*report.checked(folder, checked))


@app.command("baseline")
def print_baseline(
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="A system installed below DIR.", show_default="this machine"),
    ] = None,
) -> None:
    """Print what a host has already: its packages, and what they provide and need. Make it on a minimal install.

    \b
    Example:
      sealift mirror baseline --root /srv/el9-minimal > el9-minimal.txt
    """
    with command(json=False, quiet=True):
        typer.echo(capture_baseline(root), nl=False)


@app.command("diff")
def diff_mirrors(
    older: Annotated[Path, typer.Argument(metavar="OLD", help="A mirror.")],
    newer: Annotated[Path, typer.Argument(metavar="NEW", help="Another.")],
    json: JsonLines = False,
) -> None:
    """Show which packages two mirrors do not share.

    \b
    Example:
      sealift mirror diff /srv/mirror-2026-01 /srv/mirror-2026-02
    """
    with command(json=json, quiet=True) as console:
        console.result(*report.difference(compare(read_repository(_mirror(older)), read_repository(_mirror(newer)))))


@app.command("serve")
def serve_mirror(
    folder: Folder,
    *,
    bind: Annotated[str, typer.Option("--bind", metavar="ADDRESS", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 for a free one.")] = 8080,
    json: JsonLines = False,
) -> None:
    """Serve a mirror over HTTP until interrupted: ranges, kept connections, nothing but its files.

    \b
    Example:
      sealift mirror serve /srv/mirror --bind 0.0.0.0
    """
    with (
        command(json=json, quiet=True) as console,
        RepositoryServer(FolderFiles(_mirror(folder)), (bind, port)) as server,
    ):
        console.result(*report.serving(server.url))
        server.serve_forever()


def _mirror(folder: Path) -> Path:
    if not (folder / REPOMD).is_file():
        raise InputError("not-a-mirror", f"{folder} is no repository: it has no {REPOMD}")
    return folder
