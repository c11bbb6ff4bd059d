from __future__ import annotations

from pathlib import Path

import pytest

from installer.facts.host import os_release
from payload.signing import PrivateKey
from tests.unit.installer.lab import Lab
from tests.unit.installer.products import build


@pytest.fixture(scope="session")
def key() -> PrivateKey:
    return PrivateKey.generate("vendor")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, key: PrivateKey) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    system = os_release(Path("/etc/os-release"))["ID"]
    return {
        "1.0.0": build(folder, key, "1.0.0", system),
        "1.1.0": build(folder, key, "1.1.0", system, config="1.1"),
        "3.0.0": build(folder, key, "3.0.0", system),
    }


@pytest.fixture
def lab(tmp_path: Path, bundles: dict[str, Path], key: PrivateKey) -> Lab:
    lab = Lab(tmp_path, bundles)
    for folder in ("run/systemd/system", "etc/app/trusted-keys.d", "usr"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/app/trusted-keys.d/vendor.pub").write_text(key.public.to_text())
    return lab
