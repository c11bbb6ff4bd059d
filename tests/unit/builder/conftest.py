"""A product in a folder of its own, and the only index that pip sees."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import pipeline
from payload.events import NullSink
from payload.store import Store
from tests.unit.builder.product import Site, stand_in_runtime, write_index, write_product


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place where pip looks."""
    folder = tmp_path / "index"
    write_index(folder)
    _only(folder, monkeypatch)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The product, and an empty store."""
    write_product(tmp_path / "product")
    return Site(tmp_path / "product", Store(tmp_path / "store"))


@pytest.fixture(scope="session")
def locked_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with index, product, lock and store, which no test changes."""
    folder = tmp_path_factory.mktemp("locked")
    write_index(folder / "index")
    write_product(folder / "product")
    site = Site(folder / "product", Store(folder / "store"))
    stand_in_runtime(site, folder)
    with pytest.MonkeyPatch.context() as patch:
        _only(folder / "index", patch)
        pipeline.lock(site.manifest, store=site.store, sink=NullSink())
    yield folder


@pytest.fixture
def locked(locked_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The product with its lock, and a runtime in the store."""
    shutil.copytree(locked_once, tmp_path, dirs_exist_ok=True)
    _only(tmp_path / "index", monkeypatch)
    return Site(tmp_path / "product", Store(tmp_path / "store"))


def _only(folder: Path, patch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        patch.delenv(name, raising=False)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    patch.setenv("PIP_FIND_LINKS", str(folder))
