"""`sealift`: the builder's command line. The one place here where an error becomes an exit code."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Annotated

import typer

from builder import __version__, content_commands, report, signing_commands
from builder.console import command
from builder.mirror_cli import app as mirror_app
from builder.pipeline import build as build_bundle
from builder.pipeline import explain as explain_package
from builder.pipeline import lock as lock_manifest
from builder.runtime_cli import app as runtime_app
from builder.sign import (
    create_keypair,
    create_rpm_key,
    default_key_path,
    load_keyring,
    load_private_key,
    public_path,
    rpm_key_path,
)
from payload.archive import damaged, open_bundle
from payload.events import stage
from payload.split import parse_size
from payload.store import Store

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(mirror_app, name="mirror")
app.add_typer(runtime_app, name="runtime")

ManifestPath = Annotated[Path, typer.Argument(metavar="MANIFEST", help="The bundle's manifest, a TOML file.")]
BundlePath = Annotated[Path, typer.Argument(metavar="BIN", help="A bundle.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Events and results as JSON lines on stdout.")]
PrivateKeys = Annotated[
    list[Path] | None,
    typer.Option(
        "--key",
        metavar="KEY.pem",
        help="A private key to sign with; may be repeated.",
        show_default="$SEALIFT_KEY or ~/.config/sealift/release.pem",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; results and errors only.")]
StorePath = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Cache of artifacts.", show_default="~/.cache/sealift/store"),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sealift {__version__}")
        raise typer.Exit


@app.callback()
def sealift(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Make one signed, self-extracting installer from one manifest.

    \b
    The first time:
      sealift keygen ~/.config/sealift/release.pem   a key pair; give the .pub to those who install
      sealift lock bundle.toml                       choose exact packages, wheels and images
      sealift build bundle.toml                      dist/NAME-installer-VERSION.bin

    \b
    Later:
      sealift build bundle.toml                      the same lock gives the same contents
      sealift inspect dist/shop-installer-1.0.bin    what is inside
      sealift verify dist/shop-installer-1.0.bin     whether it is whole and yours
      sealift mirror sync mirror.toml /srv/mirror    a package repository alone, without a bundle

    \b
    With the key on another machine: build --unsigned, sign-request, sign (there), attach-signature.

    \b
    Exit codes: 0 done, 2 wrong call, 10 damaged, 11 not trusted, 12 mistakes in a file, 13 cannot be
    resolved, 130 interrupted. Colours follow NO_COLOR.
    """


@app.command()
def lock(
    manifest: ManifestPath,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="PACKAGE", help="Say why that RPM comes along; write nothing."),
    ] = None,
    store: StorePath = None,
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Resolve the manifest to exact artifacts and write them to its .lock, which is to be committed.

    Which package index is asked is pip's own configuration: its files and PIP_* variables.

    \b
    Examples:
      sealift lock bundle.toml && git diff bundle.lock
      sealift lock bundle.toml --explain libuv
    """
    with command(json=json, quiet=quiet) as console:
        if explain is not None:
            lines = explain_package(manifest, explain, store=Store(store), sink=console.sink)
            console.result(*report.explained(explain, lines))
            return
        locked = lock_manifest(manifest, store=Store(store), sink=console.sink)
        console.result(*report.locked(locked.path, locked.lock))


@app.command()
def build(
    manifest: ManifestPath,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="OUT", help="The file to make.", show_default="dist/NAME-installer-VERSION.bin"
        ),
    ] = None,
    key: PrivateKeys = None,
    base: Annotated[
        list[Path] | None,
        typer.Option(
            "--base", metavar="OLD.bin", help="Make an upgrade bundle for hosts with this one; may be repeated."
        ),
    ] = None,
    for_plan: Annotated[
        Path | None,
        typer.Option(
            "--for-plan",
            metavar="FILE",
            help="Make an upgrade bundle for the one host that wrote FILE; --base is then what it has, for patches.",
        ),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Sign later: see sign-request. No host takes it before.")
    ] = False,
    rpm_key: Annotated[
        Path | None,
        typer.Option(
            "--rpm-key",
            metavar="KEY.gpg",
            help="The secret OpenPGP key, armored, to sign the metadata of the packages with.",
            show_default="the .gpg beside --key",
        ),
    ] = None,
    volume_size: Annotated[
        str | None,
        typer.Option("--volume-size", metavar="SIZE", help="Split into parts of at most SIZE, such as 4G or 650M."),
    ] = None,
    store: StorePath = None,
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Build the bundle of a locked manifest, sign it, and read it back.

    Set SOURCE_DATE_EPOCH to give a build its time; otherwise it has the manifest's.

    \b
    Examples:
      sealift build bundle.toml
      sealift build bundle.toml -o /srv/shop-1.0.bin --key release.pem
      sealift build bundle.toml --volume-size 4G     X.bin, X.bin.001, X.bin.002, ...
      sealift build bundle.toml --base dist/shop-installer-1.0.bin
      sealift build bundle.toml --for-plan site.json --base dist/shop-installer-1.0.bin
    """
    with command(json=json, quiet=quiet) as console:
        paths = key or [default_key_path(os.environ)]
        built = build_bundle(
            manifest,
            out=out,
            signers=[] if unsigned else [load_private_key(path) for path in paths],
            rpm_key=rpm_key or rpm_key_path(paths[0]),
            volume_size=None if volume_size is None else parse_size(volume_size),
            store=Store(store),
            sink=console.sink,
            bases=base or (),
            plan=for_plan,
        )
        console.result(*report.built(built))


@app.command()
def inspect(bundle: BundlePath, json: JsonLines = False) -> None:
    """Show what a bundle holds. Says nothing about its signature: see verify.

    \b
    Example:
      sealift inspect shop-installer-1.0.bin --json | jq .packages
    """
    with command(json=json, quiet=True) as console:
        console.result(*report.contents(open_bundle(bundle)))


@app.command()
def verify(
    bundle: BundlePath,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key", metavar="KEY.pub", help="A trusted public key; may be repeated.", show_default="the own key's .pub"
        ),
    ] = None,
    json: JsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Check a bundle's signature and every byte of it.

    \b
    Example:
      sealift verify shop-installer-1.0.bin --key vendor.pub
    """
    with command(json=json, quiet=quiet) as console:
        keyring = load_keyring(key or [public_path(default_key_path(os.environ))])
        verified = open_bundle(bundle).verify(keyring)
        verified.keyring.check_time(int(time.time()))
        with stage(console.sink, "check", f"read {bundle.name}", total=verified.size):
            if damages := verified.check(console.sink, stage="check"):
                raise damaged(bundle.name, damages)
        console.result(*report.verified(verified))


@app.command()
def keygen(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The private key to make, such as release.pem.")],
    comment: Annotated[str, typer.Option(help="A word about the key for people who see its public half.")] = "",
    rpm: Annotated[
        bool, typer.Option("--rpm", help="Make only the key that signs the metadata of packages, at PATH.")
    ] = False,
    json: JsonLines = False,
) -> None:
    """Make a product's keys. Nothing is ever overwritten.

    An Ed25519 key pair: PATH (readable by you only) and its .pub. Beside it a .gpg (readable by you only), the OpenPGP
    key that signs the metadata of the bundle's packages; its public half travels in each bundle.

    \b
    Example:
      sealift keygen ~/.config/sealift/release.pem --comment "Shop releases"
    """
    with command(json=json, quiet=True) as console:
        whose = comment or f"{Path.home().name}@{socket.gethostname()}"
        if rpm:
            create_rpm_key(path, whose)
            console.result(*report.made_rpm_key(path))
        else:
            public = create_keypair(path, whose)
            console.result(*report.made_key(path, public_path(path), rpm_key_path(path), public))


app.command("sign-request")(signing_commands.sign_request)
app.command()(signing_commands.sign)
app.command("attach-signature")(signing_commands.attach_signature)
app.command()(signing_commands.keyring)
app.command()(content_commands.sbom)
app.command()(content_commands.provenance)
app.command()(content_commands.diff)
app.command()(content_commands.rebuild)


def main() -> None:
    """The entry point."""
    app(prog_name="sealift")


if __name__ == "__main__":
    main()
