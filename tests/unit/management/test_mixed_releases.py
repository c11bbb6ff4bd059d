"""Two nodes on one PostgreSQL, of two releases: what the older may do beside the newer, and when it must end."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from management.server.database import Database
from tests.reference import sources_of_1_0_0
from tests.unit.management.cloud import eventually
from tests.unit.management.conftest import Install
from tests.unit.management.nodes import accept, finished, keep_in, process
from tests.unit.management.patience import PATIENCE

ADD_OFFERING = "org.zstack.header.configuration.APICreateInstanceOfferingMsg"
RECONNECT = "org.zstack.header.host.APIReconnectHostMsg"
OFFERING = {"name": "small", "cpuNum": 1, "cpuSpeed": 1, "memorySize": 1 << 30}
NOBODY = uuid.uuid4().hex


@dataclass(frozen=True)
class Site:
    database: Database
    older: Install
    newer: Install

    def sql(self, statement: str) -> Any:
        with self.database.write() as session:
            return session.execute(text(statement))

    def version_of(self, call: str | None) -> str:
        """The release of the node that took the call."""
        asked = f"SELECT application_version FROM dbos.workflow_status WHERE workflow_uuid = '{call}'"
        return str(self.sql(asked).scalar_one())

    def latest(self) -> str:
        asked = "SELECT version_name FROM dbos.application_versions ORDER BY version_timestamp DESC LIMIT 1"
        return str(self.sql(asked).scalar_one())


@pytest.fixture
def site(postgresql: Any, make_install: Any, tmp_path: Path) -> Iterator[Site]:
    """Release 1.0.0 and this one; the database is that of 1.0.0."""
    sources_of_1_0_0(tmp_path / "older")
    older, newer = make_install("one", tmp_path / "older"), make_install("two")
    url = postgresql.create(uuid.uuid4().hex)
    for install in (older, newer):
        keep_in(url, install)
    older.prepare()
    database = Database(url)
    yield Site(database, older, newer)
    database.close()


def version(install: Install) -> tuple[int, str]:
    answer = install.get("/healthz")
    return answer.status_code, answer.json()["version"]


def test_nodes_are_upgraded_one_after_the_other(site: Site) -> None:
    with process(site.older):
        session = site.older.log_in()
        assert site.newer.run("migrate").stdout == "schema 1.0.0 -> 1.1.0\n"
        # Nobody knows more than the older node yet: it goes on.
        assert version(site.older) == (200, "1.0.0")
        alone = accept(site.older, RECONNECT, uuid=NOBODY, session=session)
        assert finished(site.older, str(alone))["error"]["code"] == "SYS.1003"
        assert site.version_of(alone) == "1.0.0"

        with process(site.newer):
            assert [version(node) for node in (site.older, site.newer)] == [(200, "1.0.0"), (200, "1.1.0")]
            assert site.latest() == "1.1.0"
            # What only the newer release knows is never taken by the older, and both answer for it.
            made = [accept(site.newer, ADD_OFFERING, **OFFERING, session=session) for _ in range(12)]
            assert all(finished(site.older, str(call))["success"] for call in made)
            # Nor does the older take what it has accepted itself.
            calls = [accept(site.older, RECONNECT, uuid=NOBODY, session=session) for _ in range(12)]
            assert {finished(site.older, str(call))["error"]["code"] for call in calls} == {"SYS.1003"}
            assert {site.version_of(call) for call in (*made, *calls)} == {"1.1.0"}

        # The newer one has left, and the operator goes back: the older does the work again.
        assert site.newer.run("migrate", "--to", "1.0.0").stdout == "schema 1.1.0 -> 1.0.0\n"
        eventually(lambda: site.latest() == "1.0.0", "the older node leads again")
        back = accept(site.older, RECONNECT, uuid=NOBODY, session=session)
        assert finished(site.older, str(back))["error"]["code"] == "SYS.1003"


def test_what_a_dead_node_of_the_older_release_had_begun_is_taken_over(site: Site) -> None:
    with process(site.older) as victim:
        call = accept(site.older, RECONNECT, uuid=NOBODY, session=site.older.log_in())
        finished(site.older, str(call))
        victim.kill()
        victim.wait()
    site.sql("UPDATE dbos.workflow_status SET status = 'PENDING', output = NULL, completed_at = NULL")
    site.sql("DELETE FROM dbos.operation_outputs WHERE function_name = 'answer'")
    assert site.version_of(call) == "1.0.0"
    site.newer.run("migrate")
    with process(site.newer):
        assert finished(site.newer, str(call))["error"]["code"] == "SYS.1003"
        assert site.version_of(call) == "1.1.0"


def test_a_schema_that_does_not_serve_it_ends_the_older_node(site: Site) -> None:
    site.newer.run("migrate")
    kept = site.older.run("migrate")
    assert (kept.returncode, kept.stdout) == (
        0,
        "schema 1.1.0 is a newer release's, and serves 1.0.0: nothing to do\n",
    )
    refused = site.older.run("migrate", "--to", "1.0.0")
    assert (refused.returncode, "only the release that made schema 1.1.0" in refused.stderr) == (3, True)
    with process(site.older) as running:
        assert version(site.older) == (200, "1.0.0")
        # As the release after the next one does it.
        site.sql("""DELETE FROM "ServedSchemaVO" """)
        assert running.wait(PATIENCE) == 1
    assert "knows only up to 1.0.0" in (site.older.home / "log").read_text()
    assert site.older.run("serve").returncode == 3
