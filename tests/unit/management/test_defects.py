"""Defects of the original that are not here: defects.py has all of them with their tests, which are not all in here."""

import ast
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import URL, delete, select
from sqlalchemy.orm import Session

from management import deploy
from management.client.connection import Connection, Server
from management.deploy.deployer import Deployer, Places
from management.deploy.desired import Target
from management.deploy.remote import Remote
from management.effects import Processes
from management.server import apis
from management.server.agentcommands import COMMANDS, INNER
from management.server.clock import now
from management.server.compute.removal import DELETE_VM
from management.server.database import Database
from management.server.gc import store
from management.server.gc.attempts import attempt
from management.server.hosts import AGENT
from management.server.messages import discover
from management.server.models.gc import GarbageCollectorVO
from management.server.models.hosts import ClusterVO, HostVO
from management.server.models.system import ManagementNodeVO
from management.server.node import Node
from management.server.schema import migrate
from management.server.timeoutlines import Timeout, parse_lines
from management.server.timeouts import Timeouts
from tests.paths import CHECKOUT
from tests.unit.management.cloud import Cloud, cloud
from tests.unit.management.conftest import PASSWORD, Install
from tests.unit.management.defects import DEFECTS
from tests.unit.management.nodes import process
from tests.unit.management.simulator import Fault

HEADER = "org.zstack.header"
SERVICE = f"{HEADER}.network.service.API"
REGISTRY = discover(apis)
START, STOP = (f"{HEADER}.vm.API{verb}VmInstanceMsg" for verb in ("Start", "Stop"))
NOBODY = "0" * 12 + "4000800000000000000f"[:20]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect[0])
def test_each_defect_has_its_test(defect: tuple[str, str, str]) -> None:
    _, file, test = defect
    tests = [each for each in ast.parse((CHECKOUT / file).read_text()).body if isinstance(each, ast.FunctionDef)]
    assert test in {each.name for each in tests}


def test_providers_can_be_counted(server: Any, session: dict[str, str]) -> None:
    message = f"{SERVICE}QueryNetworkServiceProviderMsg"
    every = server.ask(session, message, conditions=[])["inventories"]
    assert server.ask(session, message, conditions=[], count=True) == {"total": len(every), "success": True}


def test_one_command_keeps_the_quotes_of_its_words(server: Any) -> None:
    assert server.shell("LogInByAccount", "accountName=admin", stdin=PASSWORD + "\n").returncode == 0
    services = f"networkServices={json.dumps({NOBODY: ['DHCP']})}"
    done = server.shell("AttachNetworkServiceToL3Network", f"l3NetworkUuid={NOBODY}", services)
    server.shell("LogOut")
    assert (done.returncode, "SYS.1003" in done.stderr) == (3, True), "the server has read the JSON"


@pytest.mark.parametrize("unknown", ["l2NetworkUuid", "networkServiceProviderUuid"])
def test_attaching_what_does_not_exist_is_no_internal_error(server: Any, session: dict[str, str], unknown: str) -> None:
    zone = server.ask(session, f"{HEADER}.zone.APICreateZoneMsg", name="z")["inventory"]["uuid"]
    made = server.ask(
        session, f"{HEADER}.network.l2.APICreateL2NoVlanNetworkMsg", name="l2", zoneUuid=zone, physicalInterface="eth0"
    )
    provider = server.ask(session, f"{SERVICE}QueryNetworkServiceProviderMsg", conditions=[])["inventories"][0]
    known = {"l2NetworkUuid": made["inventory"]["uuid"], "networkServiceProviderUuid": provider["uuid"]}
    message = f"{SERVICE}AttachNetworkServiceProviderToL2NetworkMsg"
    assert server.ask(session, message, **known)["success"], "it is attached already, since the network was made"
    error = server.ask(session, message, **{**known, unknown: NOBODY})["error"]
    assert (error["code"], unknown in error["details"]) == ("SYS.1003", True)


def test_the_shell_waits_as_long_as_the_server_works(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    monkeypatch.setattr("management.client.connection.time.monotonic", lambda: 0.0)

    def wait(_self: Connection, _state: dict[str, Any], deadline: float) -> dict[str, Any]:
        limits.append(deadline)
        return {"result": '{"x": {"success": true}}'}

    with Connection(Server(port=server.port)) as connection:
        connection.log_in("admin", PASSWORD)
        monkeypatch.setattr(Connection, "_wait", wait)
        connection.call(START, {"uuid": NOBODY, "timeout": 6 * 3_600_000})
    assert limits[0] > 6 * 3600


def test_a_line_for_any_call_is_obeyed_and_one_for_none_is_not_passed_over() -> None:
    text = "".join(f"ApiTimeout.{api} = ; 7h\n" for api in REGISTRY.messages)
    lines = parse_lines(text + "ApiTimeout.org.zstack.APINoneMsg = ; 7h\n", REGISTRY.messages, INNER)
    assert set(lines.timeouts) == set(REGISTRY.messages)
    assert ["org.zstack.APINoneMsg" in mistake.text for mistake in lines.mistakes] == [True]


@pytest.mark.parametrize("order", [(START, STOP), (STOP, START)])
def test_the_order_of_two_calls_that_name_the_same_work_makes_no_difference(order: tuple[str, str]) -> None:
    hours = {START: 2, STOP: 9}
    command = COMMANDS["/vm/reboot"]
    timeouts = Timeouts(REGISTRY, {api: Timeout(hours[api] * 3_600_000, (command,)) for api in order})
    assert timeouts.of_command("/vm/reboot") == 9 * 3600


def test_milliseconds_are_not_taken_for_seconds() -> None:
    command = COMMANDS["/sftpbackupstorage/download"]
    timeouts = Timeouts(REGISTRY, {START: Timeout(21_600_000, (command,))})
    assert timeouts.of_command("/sftpbackupstorage/download") == 21_600
    with timeouts.bound(REGISTRY.messages[START], 2):
        assert timeouts.of_command("/sftpbackupstorage/download") <= 2


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    made = Database(database_url)
    migrate(made)
    yield made
    made.close()


def leave(database: Database, vm: str, host: str = NOBODY) -> str:
    """A VM's removal is left to the collection; returns its job."""
    with database.write() as session:
        return store.submit(session, DELETE_VM, f"delete-vm-{vm}", {"vmUuid": vm, "hostUuid": host})


def node_of(session: Session) -> str:
    """The uuid of a node that lives."""
    mine, moment = uuid.uuid4().hex, now()
    session.add(ManagementNodeVO(uuid=mine, hostName="h", port=1, state="RUNNING", joinDate=moment, heartBeat=moment))
    session.flush()
    return mine


def test_after_a_restart_each_job_still_has_its_own_name_and_is_run(database: Database) -> None:
    for vm in ("1" * 32, "2" * 32):
        leave(database, vm)
    database.engine.dispose()
    with database.read() as session:
        loaded = store.idle(session)
        due = [job.kind.due(session, job.context) for job in loaded]
    assert sorted(job.name for job in loaded) == [f"delete-vm-{vm}" for vm in ("1" * 32, "2" * 32)]
    assert due == [True, True], "not only the first of them"


def test_a_job_that_was_loaded_again_belongs_to_the_node_that_runs_it(database: Database) -> None:
    job = leave(database, "1" * 32)
    with database.write() as session:
        first, second = node_of(session), node_of(session)
        assert store.claim(session, job, first) is not None
        session.execute(delete(ManagementNodeVO).where(ManagementNodeVO.uuid == first))
        store.adopt(session)
        session.expire_all()
        assert store.claim(session, job, second) is not None
        assert session.get_one(GarbageCollectorVO, job).managementNodeUuid == second


def test_jobs_of_a_killed_node_are_adopted_without_a_restart(database: Database) -> None:
    job = leave(database, "1" * 32)
    with database.write() as session:
        node_of(session)
        assert store.claim(session, job, "of a node that was killed") is not None
    with database.write() as session:
        store.adopt(session)  # what every living node does again and again
        assert [waiting.uuid for waiting in store.idle(session)] == [job]


def test_a_host_that_was_connected_before_the_job_was_loaded_is_noticed(database: Database) -> None:
    host, moment = uuid.uuid4().hex, now()
    with database.write() as session:
        cluster = session.scalars(select(ClusterVO)).one()
        place = {"zoneUuid": cluster.zoneUuid, "clusterUuid": cluster.uuid, "managementIp": "192.0.2.1"}
        columns = {"hypervisorType": "KVM", "state": "Enabled", "username": "root", "sshPort": 22, **place}
        zero = dict.fromkeys((f"{a}{b}Capacity" for a in ("total", "available") for b in ("Cpu", "Memory")), 0)
        dates = {"createDate": moment, "lastOpDate": moment}
        session.add(HostVO(uuid=host, name="h", status="Disconnected", **columns, **zero, **dates))
    leave(database, "1" * 32, host)
    for status, expected in (("Disconnected", False), ("Connected", True)):
        with database.write() as session:
            session.get_one(HostVO, host).status = status
        with database.read() as session:
            (job,) = store.idle(session)
            assert job.kind.due(session, job.context) is expected, "no event is needed"


def test_a_removal_that_is_left_twice_is_one_job(database: Database) -> None:
    assert leave(database, "1" * 32) == leave(database, "1" * 32)
    with database.read() as session:
        assert len(session.scalars(select(GarbageCollectorVO)).all()) == 1


def test_a_job_that_was_given_up_has_no_trigger_left(database: Database) -> None:
    job = leave(database, "1" * 32)
    with database.write() as session:
        session.delete(session.get_one(GarbageCollectorVO, job))
    with database.read() as session:
        assert store.idle(session) == []
    # An event that was under way when the job was given up finds nothing to run.
    assert attempt(cast(Node, SimpleNamespace(database=database, uuid="n")), job) is None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 30_000 + os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            yield made


def test_a_vm_is_destroyed_although_nobody_has_noticed_yet_that_its_host_is_lost(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    host = site.host_of(vm)
    host.stop()
    assert site.row("host", vm["hostUuid"])["status"] == "Connected"
    assert site.vm("Destroy", vm["uuid"]) == {"success": True}
    assert [job["name"] for job in site.unfinished()] == [f"delete-vm-{vm['uuid']}"]
    host.faults["/vm/destroy"] = Fault(refused="not yet", times=1)
    host.start()
    assert site.reconnect(site.hosts.index(host)) == {"success": True}
    assert site.row("vm", vm["uuid"])["state"] == "Destroyed", "a VM that still runs there does not come back"
    site.collects(lambda: site.unfinished() == [], "the job is done")
    assert host.vms == {}
    assert site.row("vm", vm["uuid"])["state"] == "Destroyed"


def test_an_agent_that_says_no_over_a_good_connection_has_failed(site: Cloud) -> None:
    site.hosts[0].faults["/host/connect"] = Fault(refused="not today", times=1)
    error = site.reconnect(0)["error"]
    assert (error["code"], "not today" in str(error)) == ("HOST.1002", True)
    assert site.row("host", site.uuids["host0"])["status"] == "Disconnected"
    assert site.reconnect(0) == {"success": True}


def test_a_console_agent_has_its_node_s_address(make_install: Callable[..., Install]) -> None:
    install = make_install().prepare()
    install.config.write_text(install.config.read_text() + 'management_ip = "127.0.0.9"\n')
    query = f"{HEADER}.console.APIQueryConsoleProxyAgentMsg"
    with process(install):
        (agent,) = install.ask(install.log_in(), query, conditions=[])["inventories"]
    assert agent["managementIp"] == "127.0.0.9"


@dataclass(frozen=True)
class Recording(Remote):
    """Notes which variables a playbook would be given, instead of running it."""

    given: dict[str, set[str]] = field(default_factory=dict)

    def probe(self, target: Target, command: str) -> str:
        return ""

    def play(
        self, playbook: str, target: Target, variables: dict[str, Any], run_dir: Path, password: str | None = None
    ) -> None:
        self.given[playbook] = set(variables)


def test_a_playbook_is_given_what_it_reads_and_reads_what_it_is_given(tmp_path: Path) -> None:
    agents, keys, authority = tmp_path / "agents", tmp_path / "keys", tmp_path / "ca.pem"
    (agents / AGENT.name).mkdir(parents=True)
    keys.mkdir()
    for name in ("pip-26.3-py3-none-any.whl", "sealift_host_agent-1.1.0-py3-none-any.whl", "requirements.txt"):
        (agents / AGENT.name / name).write_text(name)
    (keys / "id_ed25519").write_text("it is not used\n")
    (keys / "id_ed25519.pub").write_text("ssh-ed25519 AAAA x\n")
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    deployer = Deployer(Processes(), Places(agents, keys, tmp_path, authority), 60)
    deployer._remote = recording = Recording(Processes(), keys, tmp_path, 60)
    target = Target("127.0.0.1", 9, "root")
    deployer.authorize(target, "secret")
    with pytest.raises(Exception, match="does not answer"):
        deployer.ensure(AGENT, target)
    books = Path(str(deploy.__path__[0])) / "playbooks"
    for playbook, given in recording.given.items():
        read = set(re.findall(r"\b(?:agent_\w+|public_key)\b", (books / playbook).read_text()))
        assert read == given, playbook
    assert set(recording.given) == {file.name for file in books.glob("*.yml")}


def sources(folder: str) -> Iterator[tuple[Path, ast.AST]]:
    for file in sorted((CHECKOUT / folder).rglob("*.py")):
        for part in ast.walk(ast.parse(file.read_text())):
            yield file, part


def test_no_text_is_ever_run_as_python() -> None:
    found = [
        f"{file}:{part.lineno}"
        for file, part in sources("management")
        if isinstance(part, ast.Call)
        and isinstance(part.func, ast.Name)
        and part.func.id in ("eval", "exec", "compile")
    ]
    assert found == []


def test_no_agent_touches_the_firewall() -> None:
    program = re.compile(r"(eb|ip6?|nf)t(ables)?(-\w+)?|firewall-cmd")
    found = [
        f"{file}: {part.value}"
        for file, part in sources("management/agents")
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and program.fullmatch(part.value)
    ]
    assert found == []
