"""Manifests for tests: only what the repositories need of them."""

from __future__ import annotations

from collections.abc import Mapping

from payload.manifest import Manifest


def manifest(
    *, signed: bool = True, mirrors: Mapping[str, Mapping[str, object]] | None = None, upstreams: int = 1
) -> Manifest:
    """A product with one or two upstreams, `base` (one key) and `extra` (two keys)."""
    known = [
        {"id": "base", "url": "https://up.example/base", "gpg-keys": ["a.asc"], "signed-metadata": signed},
        {"id": "extra", "url": "https://up.example/extra", "gpg-keys": ["b.asc", "c.asc"], "signed-metadata": False},
    ]
    return Manifest.model_validate(
        {
            "product": {"name": "thing", "version": "1.0", "title": "The Thing"},
            "targets": [{"os": ["rhel"], "python": ">=3.9"}],
            "repository": {"packages": ["tool"], "upstreams": known[:upstreams]},
            "mirrors": mirrors or {},
            "server": {"requirements": ["thing"]},
        }
    )
