"""Steps whose undo must run twice, and after an apply that stopped half-way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from installer.steps import (
    BackUpDatabase,
    Host,
    MakeLinks,
    MakeSshKey,
    RevokeSshKey,
    Switch,
    dump_step,
    dump_undo,
    load_step,
    load_undo,
)
from installer.steps.links import Link
from installer.steps.sshkey import Admission
from payload.errors import IntegrityError, StepError


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "scratch").mkdir()
    return Host(scratch=tmp_path / "scratch")


def rows(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("select n from t order by n")]


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_database_comes_back_after_any_change(tmp_path: Path, host: Host, journal_mode: str) -> None:
    database = tmp_path / "data.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"pragma journal_mode={journal_mode}")
        connection.execute("create table t (n)")
        connection.execute("insert into t values (1)")
        connection.commit()
    database.chmod(0o600)
    step = BackUpDatabase(database=database, backup=tmp_path / "kept/copy.sqlite", reason="a test")
    undo = step.prepare(host)
    step.undo(undo, host)  # intended, and then the crash: nothing to put back yet
    assert rows(database) == [1]
    step.apply(host, undo)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("insert into t values (2)")
        connection.commit()
    for _ in range(2):
        step.undo(undo, host)
        assert rows(database) == [1]
    assert database.stat().st_mode & 0o777 == 0o600


def test_damaged_database_is_not_backed_up(tmp_path: Path, host: Host) -> None:
    database = tmp_path / "data.sqlite"
    database.write_bytes(b"not a database at all" * 100)
    step = BackUpDatabase(database=database, backup=tmp_path / "copy.sqlite", reason="a test")
    with pytest.raises(StepError):
        step.apply(host, step.prepare(host))
    assert not (tmp_path / "copy.sqlite").exists()


def test_authorized_key_comes_and_goes_and_others_stay(tmp_path: Path, host: Host) -> None:
    file = tmp_path / "home/.ssh/authorized_keys"
    admission = Admission("root", file, "sealift:app:key")
    step = MakeSshKey(key=tmp_path / "data/ssh/key", user="root", comment="app", admission=admission, reason="a test")
    undo = step.prepare(host)
    step.apply(host, undo)
    step.apply(host, undo)
    assert file.read_text().count("sealift:app:key") == 1
    assert (step.key.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o600, 0o600)
    for _ in range(2):
        step.undo(undo, host)
        assert not (tmp_path / "home").exists() and not (tmp_path / "data").exists()

    file.parent.mkdir(parents=True)
    file.write_text("ssh-rsa AAAA someone else\n")
    step.apply(host, step.prepare(host))
    revoke = RevokeSshKey(admission=admission, reason="a test")
    undo_revoke = revoke.prepare(host)
    line = file.read_text().splitlines()[1]
    revoke.apply(host, undo_revoke)
    assert file.read_text() == "ssh-rsa AAAA someone else\n"
    (file.parent / ".authorized_keys.sealift-cut-off").touch()
    for _ in range(2):
        revoke.undo(undo_revoke, host)
        assert file.read_text() == f"ssh-rsa AAAA someone else\n{line}\n"
        assert [*file.parent.iterdir()] == [file]


def test_switch_and_its_undo(tmp_path: Path, host: Host) -> None:
    step = Switch(current=tmp_path / "current", target="releases/2", reason="a test")
    undo = step.prepare(host)
    step.apply(host, undo)
    assert str(step.current.readlink()) == "releases/2"
    step.undo(undo, host)
    step.undo(undo, host)
    assert not step.current.is_symlink()


def test_folders_made_for_files_go_with_them_but_not_with_those_of_others(tmp_path: Path, host: Host) -> None:
    links = (Link(tmp_path / "local/bin/app", "elsewhere"), Link(tmp_path / "local/sbin/app", "elsewhere"))
    step = MakeLinks(links=links, reason="a test")
    undo = step.prepare(host)
    step.apply(host, undo)
    (tmp_path / "local/sbin/other").touch()
    for _ in range(2):
        step.undo(undo, host)
        assert sorted(path.name for path in (tmp_path / "local").rglob("*")) == ["other", "sbin"]


def test_steps_and_undo_data_survive_the_journal(tmp_path: Path, host: Host) -> None:
    step = Switch(current=tmp_path / "current", target="releases/2", reason="a test")
    step.current.symlink_to("releases/1")
    undo = step.prepare(host)
    assert load_step(dump_step(step)) == step
    assert load_undo(step, dump_undo(step, undo)) == undo
    with pytest.raises(IntegrityError, match="not known"):
        load_step({"kind": "from-the-future"})
    with pytest.raises(IntegrityError, match="cannot be read"):
        load_step(dump_step(step) | {"more": 1})
