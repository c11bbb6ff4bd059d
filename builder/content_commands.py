"""The commands that show what is in a bundle, and what changed."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from builder.console import command
from builder.diff import changes, to_lines, to_rows
from payload.archive import open_bundle
from payload.model import SBOM_PATH

_Json = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


def sbom(bundle: Annotated[Path, typer.Argument(metavar="BIN", help="A bundle.")], json: _Json = False) -> None:
    """Print a bundle's bill of materials: packages, wheels and images with digests and licenses, as CycloneDX JSON.

    \b
    Example:
      sealift sbom shop-installer-1.0.bin > shop-1.0.cdx.json
    """
    with command(json=json, quiet=True) as console:
        opened = open_bundle(bundle)
        text = opened.known(opened.digest).read(SBOM_PATH).decode()
        console.result({"sbom": jsonlib.loads(text)}, text.rstrip())


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A bundle.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later one.")],
    json: _Json = False,
) -> None:
    """List what changed between two bundles, by component and package.

    \b
    Example:
      sealift diff shop-installer-1.0.bin shop-installer-1.1.bin
    """
    with command(json=json, quiet=True) as console:
        found = changes(open_bundle(old).claimed, open_bundle(new).claimed)
        console.result({"changes": to_rows(found)}, "\n".join(to_lines(found)) or "no difference")
