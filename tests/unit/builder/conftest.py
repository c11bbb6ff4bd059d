"""A product in a folder of its own, and the only index that pip sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.store import Store
from tests.unit.builder.product import BACKEND, MANIFEST, PROJECT, Site, qcow2, write_wheel


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place where pip looks."""
    folder = tmp_path / "index"
    write_wheel(folder, "base-lib", "1.0")
    write_wheel(folder, "base-lib", "1.2", "other-lib>=2")
    write_wheel(folder, "other-lib", "2.0", "only-on-windows; sys_platform == 'win32'")
    write_wheel(folder, "other-lib", "3.0", tag="cp311-cp311-manylinux_2_39_x86_64")
    write_wheel(folder, "pip", "25.3")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The product, and an empty store."""
    folder = tmp_path / "product"
    for name in ("app", "units", "config"):
        (folder / name).mkdir(parents=True)
    (folder / "bundle.toml").write_text(MANIFEST)
    (folder / "app/pyproject.toml").write_text(PROJECT)
    (folder / "app/backend.py").write_text(BACKEND)
    (folder / "app/demo_app.py").write_text("print('demo')\n")
    (folder / "units/demo.service.j2").write_text("[Service]\nExecStart={{ venv }}/bin/demo\nUser={{ user }}\n")
    (folder / "config/demo.toml.j2").write_text("port = {{ answers.port }}\n")
    (folder / "trial.qcow2").write_bytes(qcow2())
    return Site(folder, Store(tmp_path / "store"))
