"""A product whose database lies in a PostgreSQL server of the site: copies of it, and what they are tried for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.databases import give_clients, query, start_database
from tests.e2e.product import version
from tests.e2e.watching import watch
from tests.lab import Host, Lab, Snapshot

BUNDLE = "sealift-installer-1.1.0.bin"
CONFIG, SECRET = "/etc/sealift/server.toml", "a:pass\\word of the site"
PASSWORD_FILE = "/etc/sealift/database_password"
AS_SERVER = ("runuser", "-u", "sealift", "--", "/opt/sealift/current/venv/bin/sealift-server", "--config", CONFIG)
KEPT = "/var/lib/sealift/installer/backup/*/kept/database.dump"


@dataclass
class Shop:
    """A node, and the host with its database."""

    node: Host
    server: Host

    def ask(self, statement: str) -> str:
        return query(self.server, statement)

    def started(self) -> str:
        return self.node.run(
            ["systemctl", "show", "--property=ExecMainStartTimestampMonotonic", "sealift-server"]
        ).stdout

    def assert_whole(self, release: str) -> None:
        """The data is there, in the schema of `release`, which runs; nothing is left of what copies were tried in."""
        assert version(self.node) == release
        assert self.ask("select version_num from alembic_version") == release
        assert self.ask("select name from \"ZoneEO\" where uuid = 'z1'") == "east"
        assert self.ask("select string_agg(datname, ' ' order by datname) from pg_database") == (
            "postgres sealift template0 template1"
        )
        assert not self.node.exists("/var/lib/sealift/.rehearsal")


@pytest.fixture(scope="module")
def shop(lab: Lab, installed: Snapshot, provided: Snapshot) -> Iterator[Shop]:
    server, node = lab.boot("dbserver", snapshot=provided), lab.boot("dbnode", snapshot=installed)
    start_database(server)
    give_clients(node)
    quoted = SECRET.replace("'", "''")
    query(server, f"create role shop login createdb password '{quoted}'")
    query(server, "alter database sealift owner to shop")
    query(server, "alter schema public owner to shop")
    node.run(["systemctl", "stop", "sealift-server"])
    node.write(PASSWORD_FILE, SECRET + "\n")
    node.sh(f"chown root:sealift {PASSWORD_FILE}; chmod 640 {PASSWORD_FILE}; rm -f /var/lib/sealift/sealift.db*")
    url = f"postgresql://shop@{server.address}:5432/sealift"
    node.sh(f'printf \'[database]\nurl = "{url}"\npassword_file = "{PASSWORD_FILE}"\n\' >>{CONFIG}')
    node.run([*AS_SERVER, "migrate"])
    node.run([*AS_SERVER, "set-admin-password"], input="a-password-of-the-site\n")
    node.run(["systemctl", "start", "sealift-server"])
    query(
        server,
        """insert into "ZoneEO" (uuid, name, state, type, "createDate", "lastOpDate")
           values ('z1', 'east', 'Enabled', 'zstack', '2026-01-01', '2026-01-01')""",
    )
    yield Shop(node, server)
    for host in (server, node):
        lab.drop(host)


def loaded(host: Host, dump: str) -> str:
    """The dump as SQL."""
    return host.run(["pg_restore", "--file=-", dump]).stdout


def refused(shop: Shop) -> str:
    """What the upgrade says when it changes nothing and stops nothing."""
    began = shop.started()
    done = shop.node.run(["bash", BUNDLE, "-u", "-y"], check=False)
    assert done.returncode == 20, done.stdout + done.stderr
    assert shop.started() == began
    shop.assert_whole("1.0.0")
    return done.stderr


def test_a_migration_that_fails_on_a_copy_stops_nothing(shop: Shop) -> None:
    shop.ask('create table "ConsoleProxyAgentVO" (n int); alter table "ConsoleProxyAgentVO" owner to shop')
    said = refused(shop)
    shop.ask('drop table "ConsoleProxyAgentVO"')
    assert "[rehearsal-failed]" in said and "the migration fails on a copy of the database sealift" in said


def test_a_database_that_cannot_be_copied_stops_nothing(shop: Shop) -> None:
    """A table of somebody else's, which the product's user may not read: the copy would not be whole."""
    shop.ask("create table foreign_table (n int)")
    said = refused(shop)
    shop.ask("drop table foreign_table")
    assert "there is no sound copy of the database sealift" in said and "permission denied" in said
    assert SECRET not in said


def test_an_upgrade_keeps_a_copy_that_was_restored_for_a_test(shop: Shop) -> None:
    node = shop.node
    # a process may end between the listing and the reading
    seen = node.popen(watch(node, "stop", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >/run/seen"))
    node.run(["bash", BUNDLE, "-u", "-y"])
    assert seen.finish().stdout == "reached\n"
    shop.assert_whole("1.1.0")
    dump = node.sh(f"ls {KEPT}").strip()
    assert node.run(["stat", "-c", "%a %U", dump]).stdout == "600 root\n"
    assert "east" in loaded(node, dump) and "ConsoleProxyAgentVO" not in loaded(node, dump)
    assert node.sh(f"grep -rlF '{SECRET}' /var/log/sealift /var/lib/sealift /run/seen || true") == ""


def test_a_backup_has_a_copy_and_a_restore_leaves_the_database(shop: Shop) -> None:
    node = shop.node
    node.run(["sealift-ctl", "backup", "/root/all.tar"])
    names = node.run(["tar", "-tf", "all.tar"]).stdout.split()
    assert [name for name in names if name.startswith("database/")] == ["database/database.dump"]
    node.run(["tar", "-xf", "all.tar", "database/database.dump"])
    assert "east" in loaded(node, "/root/database/database.dump")
    shop.ask("update \"ZoneEO\" set description = 'later' where uuid = 'z1'")
    done = node.run(["sealift-ctl", "restore", "all.tar", "-y"])
    assert "for pg_restore: database/database.dump" in done.stdout
    assert shop.ask("select description from \"ZoneEO\" where uuid = 'z1'") == "later"
    shop.assert_whole("1.1.0")


def test_a_rollback_keeps_a_copy_and_the_rows(shop: Shop) -> None:
    node = shop.node
    node.run(["sealift-ctl", "rollback", "-y"])
    shop.assert_whole("1.0.0")
    assert shop.ask("select description from \"ZoneEO\" where uuid = 'z1'") == "later"
    newest = node.sh(f"ls -t {KEPT} | head -1").strip()
    assert "ConsoleProxyAgentVO" in loaded(node, newest)


def test_without_the_right_to_make_a_database_the_copy_is_only_read(shop: Shop) -> None:
    shop.ask("alter role shop nocreatedb")
    said = shop.node.run(["bash", BUNDLE, "-u", "-y"]).stderr
    shop.ask("alter role shop createdb")
    assert "not restored for a test" in said and "createdb" in said
    shop.assert_whole("1.1.0")
