"""The support archive of an install in any state."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from installer.layout import Layout
from installer.support.command import collected
from installer.support.sources import LARGEST
from payload.errors import UsageError
from payload.events import NullSink

SECRET = "kw9ZQxT7vhost"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout = Layout.of("shop", root=tmp_path / "root")
    for folder in (layout.config_dir, layout.log_dir, layout.journal_dir, layout.units_dir, layout.release("1.0")):
        folder.mkdir(parents=True)
    (layout.config_dir / "admin_password").write_text(SECRET + "\n")
    (layout.config_dir / "admin_password").chmod(0o600)
    (layout.config_dir / "shop.toml").write_text('listen = 8080\ndatabase_password = "other-secret"\n')
    (layout.data_dir / "keys").mkdir()
    (layout.data_dir / "keys/id_ed25519").write_text("private")
    (layout.log_dir / "install-1.log").write_text(f"began\nsaid {SECRET} aloud\nended\n")
    (layout.log_dir / "shop.log").write_text("x" * 100 + "\n" + "y" * LARGEST)
    (layout.log_dir / "outside.log").symlink_to("/etc/shadow")
    (layout.journal_dir / "1.jsonl").write_text('{"n": 1}\n')
    (layout.units_dir / "shop.service").write_text("[Service]\nExecStart=/bin/true\n")
    layout.state_file.write_text("{ this is no state")
    return tmp_path / "root"


def texts(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as tar:
        found = {member.name.partition("/")[2]: tar.extractfile(member) for member in tar}
        return {name: file.read().decode() for name, file in found.items() if file is not None}


def test_a_broken_install_is_collected_without_its_secrets(root: Path, tmp_path: Path) -> None:
    archive = tmp_path / "out.tar.gz"
    view = collected("shop", archive, NullSink(), root=root)
    inside = texts(archive)
    everything = "\n".join(inside.values())
    for secret in (SECRET, "other-secret", "root:$"):
        assert secret not in everything
    assert inside["config/shop.toml"].startswith("listen = 8080\n")
    assert "config/admin_password" not in inside
    assert inside["logs/install-1.log"] == "began\nsaid [removed] aloud\nended\n"
    assert inside["logs/shop.log"] == "y" * LARGEST
    assert "logs/outside.log" not in inside
    assert inside["installer/state.json"] == "{ this is no state"
    assert inside["installer/journal/1.jsonl"] == '{"n": 1}\n'
    assert "ExecStart" in inside["units/shop.service"]
    assert "Linux" in inside["host/uname-a.txt"]
    assert "keys/id_ed25519" in inside["layout.txt"]
    assert not any("id_ed25519" in name for name in inside)
    contents = json.loads(inside["contents.json"])
    assert {entry["path"] for entry in contents["contents"] if "missing" not in entry} | {"contents.json"} == set(
        inside
    )
    assert next(entry for entry in contents["contents"] if entry["path"] == "logs/shop.log")["cut"] is True
    assert contents["removed"] == view.body["removed"] >= 2
    assert archive.stat().st_mode & 0o777 == 0o600


def test_an_archive_that_is_there_is_kept(root: Path, tmp_path: Path) -> None:
    archive = tmp_path / "out.tar.gz"
    archive.write_text("mine")
    with pytest.raises(UsageError, match="archive-unwritable"):
        collected("shop", archive, NullSink(), root=root)
    assert archive.read_text() == "mine"


def test_a_host_without_the_product_is_collected_too(tmp_path: Path) -> None:
    archive = tmp_path / "out.tar.gz"
    collected("shop", archive, NullSink(), root=tmp_path / "bare")
    assert "host/uname-a.txt" in texts(archive)
