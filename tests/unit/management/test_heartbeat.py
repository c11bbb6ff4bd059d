"""When a node takes another one for dead, by a clock of the test's own."""

import pytest
from sqlalchemy import select

from management.server import heartbeat
from management.server.database import Database
from management.server.heartbeat import BEAT_SECONDS, DEAD_SECONDS, Heartbeat
from management.server.models.system import ManagementNodeVO
from tests.unit.management.conftest import Clock
from tests.unit.management.test_defects import node_of


class Site:
    """A node that beats when it is told to, and another one that is silent."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(heartbeat, "time", self.clock)
        self.database = database
        with database.write() as session:
            self.mine, self.other = node_of(session), node_of(session)
        self.heartbeat = Heartbeat(database, self.mine, lambda _living: 0, lambda: None)
        self.heartbeat.beat()

    def beat_for(self, seconds: float) -> None:
        ends = self.clock.now + seconds
        while self.clock.now < ends:
            self.clock.now += BEAT_SECONDS
            self.heartbeat.beat()

    def nodes(self) -> set[str]:
        with self.database.read() as session:
            return set(session.scalars(select(ManagementNodeVO.uuid)))


@pytest.fixture
def site(database: Database, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(database, monkeypatch)


def test_a_node_that_is_silent_is_buried(site: Site) -> None:
    site.beat_for(DEAD_SECONDS)
    assert site.nodes() == {site.mine, site.other}
    site.beat_for(BEAT_SECONDS)
    assert site.nodes() == {site.mine}


def test_what_stalled_this_node_is_no_sign_that_another_is_dead(site: Site) -> None:
    site.beat_for(BEAT_SECONDS)
    site.clock.now += 10 * DEAD_SECONDS
    site.heartbeat.beat()
    assert site.nodes() == {site.mine, site.other}, "all of the machine may have stood still"
    site.beat_for(DEAD_SECONDS)
    assert site.nodes() == {site.mine, site.other}
    site.beat_for(BEAT_SECONDS)
    assert site.nodes() == {site.mine}, "it is still silent"
