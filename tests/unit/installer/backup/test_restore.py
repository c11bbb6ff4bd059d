"""A really installed product is backed up and restored: on its host, on another one, and not at all when that fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from installer.backup.making import back_up_product
from installer.backup.planning import Source, plan_restore
from installer.backup.reader import opened
from installer.backup.restoring import restore_product
from installer.drift.verify import verify
from installer.installed import recovered, site_of
from installer.lock import exclusive
from installer.state import load_state
from installer.steps.database import row_counts
from installer.support.command import collected
from installer.transaction import run_plan
from payload.errors import ExitCode, SealiftError, TrustError, UsageError
from payload.events import NullSink
from payload.signing import PrivateKey
from payload.trust import PublicKey
from tests.unit.installer.crashing import killing
from tests.unit.installer.lab import UPGRADE, Lab

SECRET = "only for this test 4711"


def host(root: Path, bundles: dict[str, Path], key: PrivateKey, port: int) -> Lab:
    """A host of its own with 1.0.0, which was asked for a port."""
    for folder in ("run/systemd/system", "etc/app/trusted-keys.d", "usr"):
        (root / folder).mkdir(parents=True)
    (root / "etc/app/trusted-keys.d/vendor.pub").write_text(key.public.to_text())
    lab = Lab(root, bundles)
    os.environ["SEALIFT_ANSWER_PORT"] = str(port)
    try:
        lab.run("1.0.0")
    finally:
        del os.environ["SEALIFT_ANSWER_PORT"]
    return lab


def use(lab: Lab) -> None:
    """What operators and the product do."""
    data, config = lab.layout.data_dir, lab.layout.config_dir
    with closing(sqlite3.connect(data / "app.sqlite")) as database:
        database.execute("pragma journal_mode=wal")
        database.execute("insert into log values ('used')")
        database.commit()
    (data / "files/deep").mkdir(parents=True)
    (data / "files/deep" / ("n" * 200)).write_text("a long name")
    (data / "files/secret").write_text(SECRET)
    (data / "files/secret").chmod(0o600)
    os.chown(data / "files/secret", 1, 1)
    (data / "files/link").symlink_to("/etc/passwd")
    (data / "files/empty").touch()
    (config / "app.toml").write_text("# mine\n" + (config / "app.toml").read_text())
    (config / "extra.conf").write_text("more")


def seen(lab: Lab) -> dict[str, object]:
    """What a backup is for: data, configuration, keys, rows; with modes and owners."""
    found: dict[str, object] = {"rows": lab.log()}
    for top in (lab.layout.config_dir, lab.layout.data_dir):
        for path in sorted(top.rglob("*")):
            name = str(path.relative_to(lab.root))
            if name.startswith(("var/lib/app/installer", "var/lib/app/app.sqlite", "var/lib/app/images/images.json")):
                continue
            info = path.lstat()
            content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[name] = (info.st_mode, info.st_uid, info.st_gid, content)
    return found


@pytest.fixture
def used(tmp_path: Path, bundles: dict[str, Path], key: PrivateKey) -> Lab:
    lab = host(tmp_path / "one", bundles, key, 8081)
    use(lab)
    return lab


@pytest.fixture
def other(tmp_path: Path, bundles: dict[str, Path], key: PrivateKey) -> Lab:
    lab = host(tmp_path / "other", bundles, key, 9999)
    (lab.layout.data_dir / "of-the-other").write_text("goes")
    (lab.layout.config_dir / "of-the-other").write_text("goes")
    return lab


def put_back(lab: Lab, archive: Path, key: str | None = None) -> tuple[str, ...]:
    return restore_product(lab.found(), archive, key=key, ask_key=None, confirm=lambda plan: True)


def test_what_was_lost_comes_back_on_the_same_host(used: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "app.backup"
    before, state, tree = seen(used), load_state(used.layout), used.tree()
    view = back_up_product(used.found(), archive)
    assert archive.stat().st_mode & 0o777 == 0o600
    assert view.body["bytes"] == archive.stat().st_size and view.body["key"].startswith("SHA256:")
    assert used.systemd.active == {"app.service"}, "a backup stops nothing"
    assert used.tree() == tree
    for path in (used.layout.data_dir / "files/secret", used.layout.config_dir / "extra.conf"):
        path.unlink()
    (used.layout.config_dir / "app.toml").write_text("broken")
    with closing(sqlite3.connect(used.layout.data_dir / "app.sqlite")) as database:
        database.execute("delete from log")
        database.commit()
    report = "\n".join(put_back(used, archive))
    assert "App 1.0.0 is as it was on " in report
    assert seen(used) == before
    assert load_state(used.layout) == state
    assert used.systemd.active == {"app.service"}
    assert [finding.kind for finding in verify(used.found()).findings] == ["edited"]
    assert not list(used.layout.config_dir.glob(".*")) and not list(used.layout.release("1.0.0").glob(".*"))
    used.run("1.1.0", UPGRADE)
    config = (used.layout.config_dir / "app.toml").read_text()
    assert "# mine" in config and 'new_in = "1.1"' in config and "8081" in config


def test_another_host_becomes_the_one_that_was_backed_up(used: Lab, other: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "app.backup"
    before = seen(used)
    key = back_up_product(used.found(), archive).body["key"]
    put_back(other, archive, key)
    assert seen(other) == before
    state = load_state(other.layout)
    assert state is not None and state.answers["port"] == 8081
    assert [finding.kind for finding in verify(other.found()).findings] == ["edited"]
    assert other.systemd.active == {"app.service"}
    logs = "".join(path.read_text() for path in other.layout.log_dir.iterdir())
    journals = "".join(path.read_text() for path in other.layout.journal_dir.glob("*.jsonl"))
    assert SECRET not in logs + journals
    words = [word for call in (*used.systemd.calls, *other.systemd.calls) for word in call]
    assert not any(SECRET in word for word in words)


def test_who_signed_it_has_to_be_known(used: Lab, other: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "app.backup"
    key = back_up_product(used.found(), archive).body["key"]
    before = other.tree()
    asked: list[PublicKey] = []

    def decline(shown: PublicKey) -> bool:
        asked.append(shown)
        return False

    with pytest.raises(TrustError) as caught:
        restore_product(other.found(), archive, key=None, ask_key=decline, confirm=lambda plan: True)
    assert caught.value.code == "backup-key-unknown" and key in caught.value.details
    assert [shown.fingerprint for shown in asked] == [key]
    with pytest.raises(TrustError, match="not by SHA256:other"):
        put_back(other, archive, "SHA256:other")
    assert other.tree() == before
    restore_product(other.found(), archive, key=None, ask_key=lambda shown: True, confirm=lambda plan: True)


def test_a_failure_leaves_the_host_as_it_was(used: Lab, other: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "app.backup"
    key = back_up_product(used.found(), archive).body["key"]
    before, own = other.tree(), seen(other)
    other.systemd.refuses = True
    with pytest.raises(SealiftError) as caught:
        put_back(other, archive, key)
    assert caught.value.exit_code == ExitCode.ROLLED_BACK
    assert (other.tree(), seen(other)) == (before, own)
    assert other.systemd.active == other.systemd.enabled == {"app.service"}


@pytest.mark.parametrize("place", [2, 4, 6, 8, 11, 13, 16, 20])
def test_a_run_that_was_killed_is_undone(used: Lab, other: Lab, tmp_path: Path, place: int) -> None:
    archive = tmp_path / "app.backup"
    back_up_product(used.found(), archive)
    before, own = other.tree(), seen(other)
    installed = other.found()
    with opened(archive) as backup:
        source = Source(archive, backup.digest, backup.contents)
    offer = installed.offer()
    plan = plan_restore(site_of(installed), offer, installed.state, source)
    child = os.fork()
    if child == 0:
        with exclusive(installed.layout):
            run_plan(plan, installed.layout, installed.host, open_journal=killing(place, before=False))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    archive.unlink()
    with exclusive(installed.layout):
        recovered(other.found())
    assert (other.tree(), seen(other)) == (before, own)


def test_a_backup_of_a_changing_database_is_whole(used: Lab, tmp_path: Path) -> None:
    archive, database = tmp_path / "app.backup", used.layout.data_dir / "app.sqlite"
    with closing(sqlite3.connect(database)) as open_one:
        open_one.execute("insert into log values ('in the write-ahead file')")
        open_one.commit()
        open_one.execute("insert into log values ('never committed')")
        back_up_product(used.found(), archive)
        with opened(archive) as backup:
            names = [item.path for item in backup.files if item.top == "data"]
            number = [item.name for item in backup.files].index("data/app.sqlite")
            copy = tmp_path / "copy.sqlite"
            copy.write_bytes(b"".join(backup.blocks(number)))
    assert not any(name.endswith(("-wal", "-shm")) for name in names)
    assert row_counts(copy, copy=True)["log"] == 4
    with closing(sqlite3.connect(copy)) as restored:
        rows = [row[0] for row in restored.execute("select what from log")]
    assert rows[-2:] == ["used", "in the write-ahead file"]


def test_refusals(used: Lab, other: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "app.backup"
    key = back_up_product(used.found(), archive).body["key"]
    content = archive.read_bytes()
    with pytest.raises(UsageError, match="cannot make"):
        back_up_product(used.found(), archive)
    assert archive.read_bytes() == content
    with pytest.raises(UsageError, match="which is backed up"):
        back_up_product(used.found(), used.layout.data_dir / "inside.backup")
    with pytest.raises(UsageError, match="cannot read"):
        put_back(other, tmp_path / "not-there")
    with pytest.raises(UsageError, match="declined"):
        restore_product(other.found(), archive, key=key, ask_key=None, confirm=lambda plan: False)
    other.run("1.1.0", UPGRADE)
    before = other.tree()
    with pytest.raises(UsageError) as caught:
        put_back(other, archive, key)
    assert caught.value.code == "backup-differs"
    assert other.tree() == before


def test_the_key_that_signs_leaves_the_host_in_no_archive(used: Lab, tmp_path: Path) -> None:
    back_up_product(used.found(), tmp_path / "app.backup")
    key = used.layout.backup_key
    assert key.stat().st_mode & 0o777 == 0o600
    line = key.read_bytes().splitlines()[1]
    assert line not in (tmp_path / "app.backup").read_bytes()
    collected("app", tmp_path / "support.tar.gz", NullSink(), root=used.root, run=used.systemd)
    with tarfile.open(tmp_path / "support.tar.gz") as tar:
        files = [file.read() for each in tar if (file := tar.extractfile(each)) is not None]
    assert not any(line in content for content in files)
    again = back_up_product(used.found(), tmp_path / "again.backup").body["key"]
    assert again == PrivateKey.from_pem(key.read_bytes()).public.fingerprint


def test_a_backup_that_cannot_be_made_leaves_no_file(used: Lab, tmp_path: Path) -> None:
    (used.layout.data_dir / "bad.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(SealiftError, match="bad"):
        back_up_product(used.found(), tmp_path / "app.backup")
    assert not (tmp_path / "app.backup").exists()
    assert not list(used.layout.state_dir.glob(".backup-*"))
