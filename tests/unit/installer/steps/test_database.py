from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from installer.steps import BackUpDatabase, Host
from installer.steps.database import back_up, check, row_counts, try_restore
from payload.errors import StepError


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute('CREATE TABLE "odd ""name" (x)')
        connection.executemany('INSERT INTO "odd ""name" VALUES (?)', [(n,) for n in range(3)])
        connection.commit()
    return path


def test_a_backup_is_restored_for_a_test_and_nothing_of_that_stays(database: Path, tmp_path: Path) -> None:
    step = BackUpDatabase(database=database, backup=tmp_path / "kept/app.db", reason="a test")
    host = Host(scratch=tmp_path / "scratch")
    step.apply(host, step.prepare(host))
    assert row_counts(step.backup, copy=True) == {'odd "name': 3}
    assert {path.name for path in tmp_path.iterdir()} - {"app.db-wal", "app.db-shm"} == {"app.db", "kept"}
    assert [path.name for path in step.backup.parent.iterdir()] == ["app.db"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_restore_for_a_test_that_was_cut_off_leaves_nothing_after_the_undo(
    database: Path, tmp_path: Path, whole: bool
) -> None:
    step = BackUpDatabase(database=database, backup=tmp_path / "kept/app.db", reason="a test")
    host = Host(scratch=tmp_path / "scratch")
    undo = step.prepare(host)
    if whole:
        back_up(database, step.backup)
    trial = tmp_path / ".app.db.restored"
    trial.write_bytes(database.read_bytes()[:100])  # and then it was killed
    for _ in range(2):
        step.undo(undo, host)
        assert not trial.exists()
        assert row_counts(database) == {'odd "name': 3}


def test_nobody_else_can_read_a_copy(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def look(path: Path, *, copy: bool = True) -> None:
        seen[path.name] = path.stat().st_mode & 0o777
        check(path, copy=copy)

    monkeypatch.setattr("installer.steps.database.check", look)
    back_up(database, tmp_path / "kept/app.db")
    try_restore(tmp_path / "kept/app.db", database)
    assert seen == {".app.db.partial": 0o600, ".app.db.restored": 0o600}


@pytest.mark.parametrize("existed", [True, False])
def test_undoing_late_keeps_what_it_replaces_however_often_it_is_cut_off(tmp_path: Path, existed: bool) -> None:
    database = tmp_path / "app.db"
    step = BackUpDatabase(database=database, backup=tmp_path / "backup/run/kept/app.db", reason="a test")
    host = Host(scratch=tmp_path / "scratch", used_since=True)
    if existed:
        write(database, "before")
    undo = step.prepare(host)
    step.apply(host, undo)
    write(database, "since")
    step._keep()  # and then it was killed
    for _ in range(2):
        step.undo(undo, host)
        assert database.exists() == existed
    kept = sorted(path.name for path in (tmp_path / "backup").glob("*-since*"))
    assert kept == ["run-since", "run-since-2"]
    for name in kept:
        assert read(tmp_path / "backup" / name / "app.db")[-1] == "since"
    if existed:
        assert read(database) == ["before"]
        assert not list(tmp_path.glob("app.db-*"))


def test_undoing_at_once_keeps_nothing(tmp_path: Path) -> None:
    database = tmp_path / "app.db"
    write(database, "before")
    step = BackUpDatabase(database=database, backup=tmp_path / "backup/run/kept/app.db", reason="a test")
    host = Host(scratch=tmp_path / "scratch")
    undo = step.prepare(host)
    step.apply(host, undo)
    write(database, "by the migration")
    step.undo(undo, host)
    assert read(database) == ["before"]
    assert [path.name for path in (tmp_path / "backup").iterdir()] == ["run"]


def write(database: Path, text: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS rows (text)")
        connection.execute("INSERT INTO rows VALUES (?)", (text,))
        connection.commit()


def read(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM rows")]


def test_a_backup_that_lacks_rows_or_is_damaged_is_found(database: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(database, backup)
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute('DELETE FROM "odd ""name" WHERE x = 1')
        connection.commit()
    with pytest.raises(StepError, match="does not hold") as caught:
        try_restore(backup, database)
    assert caught.value.details == 'odd "name: 3 rows, there 2'
    backup.write_bytes(backup.read_bytes()[:4096])
    with pytest.raises(StepError, match="integrity check"):
        try_restore(backup, database)
    assert not list(tmp_path.glob(".*"))
