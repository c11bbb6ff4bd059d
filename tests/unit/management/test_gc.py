"""Removals that could not be made at once: the release note's scenario, and what could lose or double one."""

import os
import signal
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import URL
from sqlalchemy.orm import Session

from management.server.clock import now
from management.server.database import Database
from management.server.gc import store
from management.server.gc.jobs import EVENT_BASED, JOB_KINDS, TIME_BASED, JobKind, Trigger
from management.server.models.gc import GarbageCollectorVO
from management.server.models.system import ManagementNodeVO
from management.server.schema import migrate
from tests.unit.management.cloud import HEADER, Cloud, cloud, eventually
from tests.unit.management.conftest import Install
from tests.unit.management.nodes import process
from tests.unit.management.simulator import Fault

DELETE_HOST = f"{HEADER}.host.APIDeleteHostMsg"
DELETE_STORAGE = f"{HEADER}.storage.primary.APIDeletePrimaryStorageMsg"
GC = "org.zstack.core.gc.API"


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 5000 + os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            yield made


def lose(site: Cloud) -> tuple[str, Any, int]:
    """A VM is destroyed after its host was lost; returns it, its host and that one's number.

    What was left to the collection is tried at events only, from then on.
    """
    vm = site.create_vm()["inventory"]
    host = site.host_of(vm)
    host.stop()
    assert site.vm("Destroy", vm["uuid"]) == {"success": True}
    gone = site.install.sql("select state, hostUuid from VmInstanceEO where uuid = ?", vm["uuid"])
    assert gone == [("Destroyed", None)]
    assert site.install.sql("select * from VmNicVO where vmInstanceUuid = ?", vm["uuid"]) == []
    number = site.hosts.index(host)
    eventually(lambda: waits(site, number), "the first attempts have failed, or have to wait for the host")
    eventually(site.hold_back, "no job is being tried")
    return vm["uuid"], host, number


def waits(site: Cloud, number: int) -> bool:
    """No job is being run, nor is one about to be."""
    lost = site.row("host", site.uuids[f"host{number}"])["status"] == "Disconnected"
    waiting = [job for job in site.jobs() if job["status"] != "Done"]
    return all(job["status"] == "Idle" and (lost or job["executedTimes"] > 0) for job in waiting)


def done(site: Cloud) -> list[bool]:
    """Of each job, whether it is done; those that are not come first."""
    return sorted(job["status"] == "Done" for job in site.jobs())


def test_the_host_returns_and_the_orphan_is_destroyed(site: Cloud) -> None:
    vm, host, number = lose(site)
    (job,) = site.jobs()
    assert (job["name"], job["type"]) == (f"delete-vm-{vm}", EVENT_BASED)
    assert (done(site), host.vms) == ([False], {vm: "Running"})
    host.start()
    assert site.reconnect(number) == {"success": True}
    eventually(lambda: done(site) == [True], "the job is done")
    assert host.vms == {}
    assert host.asked("/vm/destroy") == [{"uuid": vm}]
    site.reconnect(number)
    assert len(host.asked("/vm/destroy")) == 1, "what is done is not done again"


def test_the_host_is_deleted_and_the_job_ends(site: Cloud) -> None:
    _, host, number = lose(site)
    deleted = site.call(DELETE_HOST, uuid=site.uuids[f"host{number}"])
    assert deleted == {"success": True}, "a VM that is left to the collection does not hold its host"
    eventually(lambda: done(site) == [True], "the job is done")
    assert host.asked("/vm/destroy") == []


def test_files_go_when_their_host_is_back_or_their_storage_is_gone(site: Cloud) -> None:
    site.set("vm", "deletionPolicy", "Direct")
    first, host, number = lose(site)
    assert site.install.sql("select deleted is not null from VmInstanceEO where uuid = ?", first) == [(1,)]
    assert done(site) == [False, False]
    host.start()
    site.reconnect(number)
    eventually(lambda: done(site) == [True, True], "both jobs are done")
    assert (host.vms, host.files) == ({}, {})

    lose(site)
    assert done(site) == [False, False, True, True]
    assert site.call(DELETE_STORAGE, uuid=site.uuids["storage"]) == {"success": True}
    eventually(lambda: done(site) == [False, True, True, True], "a file without storage is gone")


def test_an_agent_that_fails_is_asked_again(site: Cloud) -> None:
    vm, host, number = lose(site)
    host.faults["/vm/destroy"] = Fault(refused="not yet")
    host.start()
    site.reconnect(number)
    eventually(lambda: "not yet" in site.jobs()[0].get("lastError", ""), "the first attempt failed")
    eventually(site.hold_back, "no job is being tried")
    (job,) = site.jobs()
    before = len(host.asked("/vm/destroy"))
    refused = site.call(f"{GC}TriggerGCJobMsg", uuid=job["uuid"])
    assert (refused["error"]["code"], "not yet" in refused["error"]["details"]) == ("SYS.1006", True)
    eventually(site.hold_back, "no job is being tried")
    host.faults.clear()
    assert site.call(f"{GC}TriggerGCJobMsg", uuid=job["uuid"]) == {"success": True}
    assert done(site) == [True]
    assert len(host.asked("/vm/destroy")) == before + 2
    assert site.call(f"{GC}TriggerGCJobMsg", uuid=job["uuid"])["error"]["code"] == "SYS.1006"
    assert vm not in host.vms


def test_an_operator_gives_a_job_up(site: Cloud) -> None:
    vm, host, number = lose(site)
    (job,) = site.jobs()
    assert site.call(f"{GC}DeleteGCJobMsg", uuid=job["uuid"]) == {"success": True}
    host.start()
    site.reconnect(number)
    assert site.jobs() == []
    assert vm in host.vms


def test_a_vm_that_was_recovered_and_runs_again_is_left_alone(site: Cloud) -> None:
    vm, host, number = lose(site)
    site.install.sql("update GarbageCollectorVO set status = 'Done'")
    host.start()
    site.reconnect(number)
    assert site.vm("Recover", vm)["success"]
    assert site.vm("Start", vm)["success"]
    site.install.sql("update GarbageCollectorVO set status = 'Idle'")
    site.collects(lambda: done(site) == [True], "the job is done")
    assert host.vms == {vm: "Running"}


def test_jobs_survive_a_kill_and_the_event_that_they_missed(tmp_path_factory: pytest.TempPathFactory) -> None:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 10_000 + os.getpid() % 5000) as site:
        with process(install) as server:
            site.fill()
            first, host, _ = lose(site)
            site.install.sql("update GarbageCollectorVO set status = 'Processing', managementNodeUuid = 'dead'")
            server.send_signal(signal.SIGKILL)
            server.wait()
        host.start()
        with process(install):
            # Hosts are connected at start-up: the event may come before anybody listens.
            site.collects(lambda: done(site) == [True], "the job of the dead node is done")
        assert first not in host.vms


RAN: list[str] = []
KIND = JobKind("a.Runner", lambda _node, context: RAN.append(context["x"]), lambda _s, _c: True, (Trigger("/p", "x"),))
POLLS = JobKind("a.Poller", KIND.run, KIND.due, interval=300)


@pytest.fixture
def session(database_url: URL) -> Iterator[Session]:
    database = Database(database_url)
    migrate(database)
    with database.write() as made:
        yield made
    database.close()


def test_a_name_is_there_once_until_it_is_done(session: Session) -> None:
    first = store.submit(session, KIND, "n", {"x": "1"})
    assert store.submit(session, KIND, "n", {"x": "1"}) == first
    job = store.claim(session, first, "node")
    assert job is not None
    assert store.submit(session, KIND, "n", {"x": "1"}) == first
    assert store.claim(session, first, "other") is None
    store.settle(session, job, None)
    assert store.claim(session, first, "other") is None
    assert store.submit(session, KIND, "n", {"x": "1"}) != first
    assert [job.context for job in store.idle(session)] == [{"x": "1"}]


def test_what_fails_waits_longer_each_time(session: Session) -> None:
    uuid_ = store.submit(session, KIND, "n", {"x": "1"})
    assert [job.waited for job in store.idle(session)] == [True]
    job = store.claim(session, uuid_, "node")
    assert job is not None
    store.settle(session, job, "no")
    session.flush()
    assert [(job.waited, job.attempts) for job in store.idle(session)] == [(False, 1)]
    assert [KIND.pause(n) for n in (1, 2, 3, 99)] == [5, 10, 20, 300]
    assert (POLLS.pause(1), POLLS.pause(99), POLLS.type) == (300, 300, TIME_BASED)


def test_jobs_of_nodes_that_are_gone_come_back(session: Session) -> None:
    moment = now()
    mine = uuid.uuid4().hex
    session.add(ManagementNodeVO(uuid=mine, hostName="h", port=1, state="RUNNING", joinDate=moment, heartBeat=moment))
    kept, lost = (store.submit(session, KIND, name, {"x": name}) for name in ("kept", "lost"))
    store.claim(session, kept, mine)
    store.claim(session, lost, uuid.uuid4().hex)
    store.adopt(session)
    assert [job.uuid for job in store.idle(session)] == [lost]


def test_done_jobs_are_forgotten_and_unknown_kinds_left_alone(session: Session) -> None:
    done = store.claim(session, store.submit(session, KIND, "n", {"x": "1"}), "node")
    assert done is not None
    store.settle(session, done, None)
    session.flush()
    store.forget(session, timedelta(days=1))
    assert session.get(GarbageCollectorVO, done.uuid) is not None
    store.forget(session, timedelta(seconds=-1))
    session.expire_all()
    assert session.get(GarbageCollectorVO, done.uuid) is None
    newer = store.submit(session, POLLS, "m", {})
    del JOB_KINDS[POLLS.runner]
    try:
        assert store.idle(session) == []
        assert store.claim(session, newer, "node") is None
    finally:
        JOB_KINDS[POLLS.runner] = POLLS


def test_events_concern_jobs_with_the_same_value() -> None:
    assert KIND.concerns("/p", {"x": "1"}, {"x": "1"})
    assert not KIND.concerns("/p", {"x": "1"}, {"x": "2"})
    assert not KIND.concerns("/p", {}, {})
    assert not KIND.concerns("/q", {"x": "1"}, {"x": "1"})
