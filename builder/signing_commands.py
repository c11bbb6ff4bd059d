"""The commands for keys on another machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from builder import report
from builder.console import command
from builder.keyring import declared
from builder.manifest import load_manifest
from builder.seal import attach, read_request, request_of, write_request, write_signatures
from builder.seal import sign as sign_request_with
from builder.sign import default_key_path, load_private_key, load_public_key
from payload.archive import open_bundle
from payload.errors import UsageError

_Json = Annotated[bool, typer.Option("--json", help="Events and results as JSON lines on stdout.")]
_Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="The file to make.")]


def sign_request(
    bundle: Annotated[Path, typer.Argument(metavar="BIN", help="A bundle, as `build --unsigned` makes it.")],
    out: _Out = None,
    json: _Json = False,
) -> None:
    """Write down what is to be signed: a small file to be carried to the machine with the key.

    \b
    Example:
      sealift sign-request dist/shop-installer-1.0.bin -o shop-1.0.request
    """
    with command(json=json, quiet=True) as console:
        request = request_of(open_bundle(bundle))
        path = out or Path(f"{bundle.name}.request")
        write_request(request, path)
        console.result(*report.requested(path, request))


def sign(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="What `sign-request` wrote.")],
    *,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key",
            metavar="KEY.pem",
            help="A private key to sign with; may be repeated.",
            show_default="$SEALIFT_KEY or ~/.config/sealift/release.pem",
        ),
    ] = None,
    out: _Out = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: _Json = False,
) -> None:
    """Show what a request asks to vouch for, and sign it. Needs neither the bundle nor a network.

    \b
    Example:
      sealift sign shop-1.0.request --key release.pem -o shop-1.0.sig
    """
    with command(json=json, quiet=True) as console:
        asked = read_request(request)
        keys = [load_private_key(path) for path in key or [default_key_path(os.environ)]]
        for line in report.statement_lines(asked.statement):
            typer.echo(line, err=True)
        if not yes and not typer.confirm("Sign this?", err=True):
            raise UsageError("declined", "nothing was signed", remedy="-y does not ask")
        path = out or request.with_suffix(".sig")
        write_signatures(sign_request_with(asked, keys), path)
        console.result(*report.signed(path, [each.public for each in keys]))


def attach_signature(
    bundle: Annotated[Path, typer.Argument(metavar="BIN", help="The bundle that the request was made from.")],
    signatures: Annotated[list[Path], typer.Argument(metavar="SIG...", help="What `sign` wrote, one or several.")],
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="KEY.pub", help="A key that signed and is no longer in the manifest's [trust]."),
    ] = None,
    json: _Json = False,
) -> None:
    """Put signatures into a bundle, in place: only the end of the file is written.

    \b
    Example:
      sealift attach-signature dist/shop-installer-1.0.bin alice.sig bob.sig
    """
    with command(json=json, quiet=True) as console:
        signers = attach(bundle, signatures, [load_public_key(path) for path in key or ()])
        console.result(*report.attached(bundle, signers, open_bundle(bundle).claimed.keyring))


def keyring(
    source: Annotated[Path, typer.Argument(metavar="MANIFEST|BIN", help="A manifest with [trust], or a bundle.")],
    out: _Out = None,
    json: _Json = False,
) -> None:
    """Write the keyring that hosts are to trust: give it to those who install, for --key or trusted-keys.d.

    \b
    Example:
      sealift keyring bundle.toml -o shop.keyring
    """
    with command(json=json, quiet=True) as console:
        if source.suffix == ".toml":
            loaded = load_manifest(source)
            if loaded.manifest.trust is None:
                raise UsageError("trust-missing", f"{source} has no [trust]", remedy="see docs/trust.md")
            ring = declared(loaded, loaded.manifest.trust)
        else:
            ring = open_bundle(source).claimed.keyring
        text = ring.to_text()
        if out is not None:
            out.write_text(text, encoding="utf-8")
        console.result(*report.keyring(ring, out, text))
