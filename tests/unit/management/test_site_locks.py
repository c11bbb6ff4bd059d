"""Locks that hold on all nodes: two nodes in this process, on a real PostgreSQL."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, select, text

from management import deadlines
from management.server.clock import now
from management.server.database import Database
from management.server.errors import ApiError
from management.server.models.locks import ResourceLockVO
from management.server.models.system import ManagementNodeVO
from management.server.node import too_late
from management.server.schema import migrate
from management.server.sitelocks import SiteLocks
from tests.unit.management.cloud import eventually
from tests.unit.management.patience import PATIENCE

KEY = ("vm", "x")


@dataclass(frozen=True)
class Site:
    database: Database

    def join(self) -> tuple[str, SiteLocks]:
        """One more node: its uuid, and its locks."""
        mine, moment = uuid.uuid4().hex, now()
        row = {"hostName": "h", "port": 1, "state": "RUNNING", "joinDate": moment, "heartBeat": moment}
        with self.database.write() as session:
            session.add(ManagementNodeVO(uuid=mine, **row))
        return mine, SiteLocks(self.database, mine, too_late)

    def bury(self, node: str) -> None:
        with self.database.write() as session:
            session.execute(delete(ManagementNodeVO).where(ManagementNodeVO.uuid == node))

    def queue(self) -> list[str]:
        """The nodes that have the lock or wait for it, in order."""
        with self.database.read() as session:
            return list(session.scalars(select(ResourceLockVO.managementNodeUuid).order_by(ResourceLockVO.ticket)))


@pytest.fixture
def site(postgresql: Any) -> Iterator[Site]:
    database = Database(postgresql.create(uuid.uuid4().hex))
    migrate(database)
    yield Site(database)
    database.close()


def hold(locks: SiteLocks, order: list[str], name: str) -> threading.Thread:
    """A thread that notes its name as soon as it has the lock, and gives it back."""

    def work() -> None:
        with locks(*KEY):
            order.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_nodes_take_turns_in_the_order_of_asking(site: Site) -> None:
    (first, a), (second, b), (third, c) = site.join(), site.join(), site.join()
    order: list[str] = []
    with a(*KEY), a("vm", "y"):
        waiting = [hold(b, order, "second")]
        eventually(lambda: second in site.queue(), "the second node waits")
        waiting.append(hold(c, order, "third"))
        eventually(lambda: third in site.queue(), "the third node waits")
        assert order == []
        assert set(site.queue()) == {first, second, third}
    for thread in waiting:
        thread.join(PATIENCE)
    assert order == ["second", "third"]
    assert site.queue() == [], "nothing is left behind"


def test_a_node_that_is_buried_has_no_lock_and_no_place(site: Site) -> None:
    (first, a), (second, b), (_, c) = site.join(), site.join(), site.join()
    order: list[str] = []
    with a(*KEY):
        with pytest.raises(ApiError), deadlines.within(0), b(*KEY):
            pass
        survivor = hold(c, order, "survivor")
        eventually(lambda: len(site.queue()) == 2, "the survivor waits; who gave up does not")
        assert second not in site.queue()
        site.bury(first)
        survivor.join(PATIENCE)
        assert order == ["survivor"]


def test_who_waits_too_long_is_told_and_leaves_the_queue(site: Site) -> None:
    (first, a), (_, b) = site.join(), site.join()
    with a(*KEY):
        with pytest.raises(ApiError) as caught, deadlines.within(0.3), b(*KEY):
            raise AssertionError("it is held")
        assert caught.value.code == "SYS.1001"
        assert site.queue() == [first]


def test_within_a_node_one_waits_for_all(site: Site) -> None:
    (first, a), (second, b) = site.join(), site.join()
    order: list[str] = []
    with a(*KEY):
        waiting = [hold(b, order, "x") for _ in range(5)]
        eventually(lambda: second in site.queue(), "the second node waits")
        assert site.queue() == [first, second]
    for thread in waiting:
        thread.join(PATIENCE)
    assert order == ["x"] * 5


def test_a_lock_is_given_back_although_the_database_was_away(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    _, locks = site.join()
    go_on = threading.Event()

    def work() -> None:
        with locks(*KEY):
            go_on.wait()

    def rename(old: str, new: str) -> None:
        with site.database.write() as session:
            session.execute(text(f'ALTER TABLE "{old}" RENAME TO "{new}"'))

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: len(site.queue()) == 1, "the lock is held")
    rename("ResourceLockVO", "Away")
    go_on.set()
    eventually(lambda: "cannot be given back" in caplog.text, "it has been tried")
    rename("Away", "ResourceLockVO")
    thread.join(PATIENCE)
    assert site.queue() == []
