"""Modules that are kept for the packages that a repository has."""

from __future__ import annotations

import io
from pathlib import Path

from repos.documents import kept_documents
from repos.modules import parse_modules
from repos.nevra import Nevra
from tests.unit.repos.packages import write_repository
from tests.unit.repos.test_closure import load
from tests.unit.repos.test_modules import MODULES, PACKAGES


def test_streams_of_kept_packages_with_their_defaults(tmp_path: Path) -> None:
    write_repository(tmp_path / "base", PACKAGES, modules=MODULES)
    upstream = load(tmp_path, PACKAGES, written=True)
    kept = kept_documents([upstream], [Nevra.parse(PACKAGES[4].nevra)])
    assert kept.keys() == {"modules"}
    document = parse_modules(io.BytesIO(kept["modules"]), where="here")
    assert [(stream.name, stream.stream) for stream in document.streams] == [("node", "20")]
    assert document.defaults == {"node": "18"}


def test_nothing_is_kept_for_packages_without_modules(tmp_path: Path) -> None:
    write_repository(tmp_path / "base", PACKAGES, modules=MODULES)
    upstream = load(tmp_path, PACKAGES, written=True)
    assert kept_documents([upstream], [Nevra.parse(PACKAGES[7].nevra)]) == {}
