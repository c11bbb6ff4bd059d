"""The commands that show what is in a bundle, what changed, and that it is what its inputs give."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer

from builder.console import command
from builder.diff import changes, to_lines, to_rows
from builder.rebuild import verify_rebuild
from payload.archive import open_bundle
from payload.model import PROVENANCE_PATH, SBOM_PATH
from payload.store import Store
from payload.trust import names

_Json = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


def sbom(bundle: Annotated[Path, typer.Argument(metavar="BIN", help="A bundle.")], json: _Json = False) -> None:
    """Print a bundle's bill of materials: packages, wheels and images with digests and licenses, as CycloneDX JSON.

    \b
    Example:
      sealift sbom shop-installer-1.0.bin > shop-1.0.cdx.json
    """
    _show_document(bundle, "sbom", SBOM_PATH, json=json)


def provenance(bundle: Annotated[Path, typer.Argument(metavar="BIN", help="A bundle.")], json: _Json = False) -> None:
    """Print how a bundle was built: subject, parameters and materials, as an in-toto statement with SLSA provenance.

    \b
    Example:
      sealift provenance shop-installer-1.0.bin | jq .predicate.buildDefinition.resolvedDependencies
    """
    _show_document(bundle, "provenance", PROVENANCE_PATH, json=json)


def _show_document(bundle: Path, name: str, path: str, *, json: bool) -> None:
    with command(json=json, quiet=True) as console:
        opened = open_bundle(bundle)
        text = opened.known(opened.digest).read(path).decode()
        console.result({name: jsonlib.loads(text)}, text.rstrip())


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


def rebuild(
    verify: Annotated[Path, typer.Option("--verify", metavar="X.bin", help="The bundle to prove.")],
    manifest: Annotated[Path, typer.Argument(metavar="[MANIFEST]", help="In the folder of its sources.")] = Path(
        "bundle.toml"
    ),
    *,
    base: Annotated[
        list[Path] | None,
        typer.Option("--base", metavar="OLD.bin", help="What an upgrade bundle was made with; may be repeated."),
    ] = None,
    for_plan: Annotated[
        Path | None, typer.Option("--for-plan", metavar="FILE", help="The site plan that it was made for.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Cache of artifacts.", show_default="~/.cache/sealift/store"),
    ] = None,
    json: _Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; results and errors only.")] = False,
) -> None:
    """Build a bundle again from its manifest's folder and the lock inside, and say whether the same bytes come out.

    No key is needed: the signatures inside are checked, and fit only the same bytes.

    \b
    Example:
      sealift rebuild --verify dist/shop-installer-1.0.bin
    """
    with command(json=json, quiet=quiet) as console:
        bundle = verify_rebuild(
            verify, manifest, bases=base or (), plan=for_plan, store=Store(store), sink=console.sink
        )
        signers = names(bundle.signers) or "nobody"
        values: dict[str, object] = {"bundle": str(verify), "same": True, "digest": bundle.digest}
        console.result(values, f"{verify} is what its inputs give, byte for byte; signed by {signers}")
