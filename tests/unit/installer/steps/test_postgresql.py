from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer.elsewhere import dump_size
from installer.layout import Layout
from installer.steps import DumpDatabase, Host, Nothing
from installer.steps.postgresql import DUMP_NAME, PROGRAMS, Client, Postgresql, client, keep_private
from payload import effects
from payload.errors import CommandError, PreflightError
from payload.events import Event, Note
from tests.lab.postgresql import environment, programs
from tests.unit.management.postgresql import Cluster, running

USER = "nobody"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running() as cluster:
        yield cluster


class Collected:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Nothing is open."""


class Site:
    """A database of a server, and PostgreSQL's own programs, which lie beside that server."""

    def __init__(self, cluster: Cluster, tmp_path: Path) -> None:
        self.folder, home = cluster.folder, cluster.folder / "programs"
        self.calls: list[tuple[str, ...]] = []
        self.environment, self.bins = environment(home), programs(home)
        self.database = Postgresql(f"postgresql://postgres@/postgres?host={cluster.folder}")
        self.notes = Collected()
        self.host = Host(scratch=tmp_path, sink=self.notes, run=self.run)
        self.step = DumpDatabase(
            database=self.database,
            backup=tmp_path / "kept/database.dump",
            folder=self.folder / "work",
            user=USER,
            reason="a test",
        )

    def run(self, argv: tuple[str, ...], *, env: Mapping[str, str] | None = None, **options: Any) -> effects.Completed:
        self.calls.append(argv)
        words = (str(self.bins / argv[0]), *argv[1:]) if argv[0] in PROGRAMS else argv
        return effects.run(words, env={**(env or {}), **self.environment}, **options)

    def sql(self, *statements: str) -> str:
        words = [word for statement in statements for word in ("-c", statement)]
        return self.run(("psql", "-Atq", *words, "-d", self.database.url)).output.strip()

    def databases(self) -> str:
        return self.sql("select string_agg(datname, ' ' order by datname) from pg_database where not datistemplate")


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    site = Site(cluster, tmp_path)
    site.sql("create table rows (n int primary key)", "insert into rows select generate_series(1, 3)")
    yield site
    site.sql("drop owned by app" if site.sql("select 1 from pg_roles where rolname = 'app'") else "select 1")
    site.sql("drop table rows", "drop role if exists app")
    assert site.databases() == "postgres"
    assert not (site.folder / "work").exists()


def test_the_copy_is_roots_and_loads(site: Site) -> None:
    step = site.step
    step.apply(site.host, step.prepare(site.host))
    assert step.backup.stat().st_mode & 0o7777 == 0o600
    assert step.backup.stat().st_uid == 0
    assert "COPY public.rows" in site.run(("pg_restore", "--file=-", str(step.backup))).output


def test_the_room_for_a_copy_is_asked_of_the_server(site: Site, tmp_path: Path) -> None:
    site.sql("insert into rows select generate_series(4, 40000)", "create index on rows (n)")
    layout = Layout.of("app", root=tmp_path)
    room = dump_size(site.database, layout, USER, site.host)
    site.step.apply(site.host, site.step.prepare(site.host))
    assert 0 < site.step.backup.stat().st_size < room == int(site.sql("select pg_database_size('postgres')"))
    assert dump_size(None, layout, USER, site.host) == 0
    assert site.notes.events == []
    assert not list(Path("/run").glob("app-*"))


def test_of_a_server_that_does_not_answer_the_last_copy_is_twice_as_large(site: Site, tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    away = Postgresql("postgresql://nobody@/gone?host=/nowhere")
    assert dump_size(away, layout, USER, site.host) == 0
    for run, size in (("1", 10), ("2", 4)):
        layout.kept(run).mkdir(parents=True)
        (layout.kept(run) / DUMP_NAME).write_bytes(bytes(size))
    assert dump_size(away, layout, USER, site.host) == 20
    assert ["the size of the database gone is not known" in str(note) for note in site.notes.events] == [True, True]
    assert not list(Path("/run").glob("app-*"))


def test_the_migration_is_tried_on_the_copy(site: Site) -> None:
    psql = (str(site.bins / "psql"), "-d", site.database.rehearsal, "-v", "ON_ERROR_STOP=1", "-c")
    step = replace(site.step, argv=(*psql, "delete from rows"))
    step.apply(site.host, Nothing())
    assert site.sql("select count(*) from rows") == "3"
    step = replace(site.step, argv=(*psql, "delete from nothing"), backup=site.step.backup.with_name("other"))
    with pytest.raises(PreflightError, match="migration fails on a copy") as caught:
        step.apply(site.host, Nothing())
    assert 'relation "nothing" does not exist' in caught.value.details
    assert not step.backup.exists()


def test_a_copy_that_does_not_load_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = Client.make_dump

    def torn(tools: Client) -> None:
        dump(tools)
        tools.dump.write_bytes(tools.dump.read_bytes()[:-700])

    monkeypatch.setattr(Client, "make_dump", torn)
    with pytest.raises(PreflightError, match="no sound copy"):
        site.step.apply(site.host, Nothing())


def test_without_the_right_to_make_a_database_the_copy_is_read(site: Site) -> None:
    site.sql("create role app login", "grant select on rows to app")
    database = Postgresql(site.database.url.replace("postgres@", "app@"))
    replace(site.step, database=database, argv=("/no/such/program",)).apply(site.host, Nothing())
    (note,) = [event for event in site.notes.events if isinstance(event, Note)]
    assert note.level == "warning" and "not restored for a test" in note.text
    assert site.step.backup.exists()


def test_a_database_of_somebody_else_is_never_dropped(site: Site) -> None:
    site.sql("create database postgres_rehearsal")
    with pytest.raises(PreflightError, match="no sound copy") as caught:
        site.step.apply(site.host, Nothing())
    site.step.folder.mkdir()
    site.step.undo(Nothing(), site.host)
    assert site.databases() == "postgres postgres_rehearsal"
    assert '"postgres_rehearsal" already exists' in caught.value.details
    site.sql("drop database postgres_rehearsal")


def test_undoing_removes_what_a_killed_step_left(site: Site) -> None:
    step = site.step
    with client(step.database, step.folder, USER, site.host.run) as tools:
        tools.make_dump()
        tools.create_rehearsal()
    step.folder.mkdir()
    for _ in range(2):
        step.undo(Nothing(), site.host)
    assert not step.backup.exists()


def test_a_server_that_is_gone_does_not_stop_the_way_back(site: Site) -> None:
    step = replace(site.step, database=Postgresql("postgresql://app@/app?host=/no/such/folder"))
    step.folder.mkdir()
    step.undo(Nothing(), site.host)
    (note,) = [event for event in site.notes.events if isinstance(event, Note)]
    assert "app_rehearsal" in note.text


def test_the_password_is_in_one_file_only(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("a:b\\c\nsecond line\n")
    seen = ""

    def run(argv: tuple[str, ...], *, env: Mapping[str, str] | None = None, **_: Any) -> effects.Completed:
        nonlocal seen
        assert "a:b" not in " ".join(argv)
        file = Path((env or {})["PGPASSFILE"])
        assert file.stat().st_mode & 0o7777 == 0o600
        seen = file.read_text()
        raise CommandError(argv, 1, "far enough")

    step = replace(site.step, database=replace(site.database, password_file=secret))
    with pytest.raises(PreflightError):
        step.apply(replace(site.host, run=run), Nothing())
    assert seen == "*:*:*:*:a\\:b\\\\c\n"


def test_what_is_no_plain_file_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root's")
    (tmp_path / "made").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic link"):
        keep_private(tmp_path / "made", tmp_path / "kept/made")
    (tmp_path / "second").hardlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="no plain file"):
        keep_private(tmp_path / "second", tmp_path / "kept/made")
