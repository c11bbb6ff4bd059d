"""How long calls may take: lines of a file, changes at run time, and what a deadline does to the work it ends."""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from management import deadlines
from management.client.connection import Connection, Server
from management.locks import KeyedLocks
from management.server import apis
from management.server.agentcommands import COMMANDS, INNER
from management.server.config import ConfigError, load_config
from management.server.errors import ApiError
from management.server.messages import discover
from management.server.timeoutlines import LineError, Timeout, parse_lines, parse_time, parse_value
from management.server.timeouts import Timeouts, load_timeouts
from tests.unit.management.cloud import HEADER, TOO_LITTLE, Cloud, cloud, eventually, log_of
from tests.unit.management.conftest import PASSWORD, Clock, Install
from tests.unit.management.simulator import Fault

REGISTRY = discover(apis)
DESTROY, START = (REGISTRY.messages[f"{HEADER}.vm.API{verb}VmInstanceMsg"] for verb in ("Destroy", "Start"))
START_COMMAND, DOWNLOAD = COMMANDS["/vm/start"], COMMANDS["/sftpbackupstorage/download"]
NOTE = (
    "ApiTimeout.org.zstack.header.vm.APIStartVmInstanceMsg= org.zstack.header.storage.backup.DownloadImageMsg,"
    " org.zstack.storage.backup.sftp.SftpBackupStorageCommands$DownloadCmd,"
    " org.zstack.storage.ceph.backup.CephBackupStorageBase$DownloadCmd; 6h"
)
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("1500", 1500), ("90s", 90_000), ("90S", 90_000), ("5m", 300_000), ("6H", 6 * HOUR), ("2d", 48 * HOUR)],
)
def test_times(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize("text", ["", "6", "h", "6 h", "6w", "-1", "1.5h", "0", "0s", "99999d", "\u0661h", "9" * 40])
def test_what_is_no_time(text: str) -> None:
    if text == "6":
        assert parse_time(text) == 6
        return
    with pytest.raises(LineError, match=r"write|no time"):
        parse_time(text)


def test_a_line_as_it_is_written() -> None:
    lines = parse_lines(f"# a comment\n\n{NOTE}\n", REGISTRY.messages, INNER)
    assert lines.mistakes == ()
    (timeout,) = lines.timeouts.values()
    assert (timeout.milliseconds, len(timeout.inner)) == (6 * HOUR, 3)


def test_every_mistake_has_its_line_and_a_fix(tmp_path: Path) -> None:
    file = tmp_path / "timeouts.properties"
    api = f"ApiTimeout.{START.wire_name}"
    file.write_text(
        f"{api} = {START_COMMAND}, 6h\n"
        f"{api} = {START_COMMAND}; 6h; 7h\n"
        f"{api} = \\\n  {START_COMMAND}, \\\n  StartVmCommand; 6x\n"
        f"ApiTimeout.{HEADER}.vm.APIStartVmInstancMsg = ; 6h\n"
        "CloudBus.serverIp.0 = 127.0.0.1\n"
        f"ApiTimeout.{DESTROY.wire_name} = ; 1h\n"
        f"ApiTimeout.StartVm = ; 1h\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_timeouts(file, REGISTRY)
    said = [line.removeprefix(f"{file}:") for line in str(caught.value).splitlines()]
    expected = [
        ("1:", "no ';'", "6h"),
        ("2:", "more than one ';'", "keep"),
        ("2:", "on line 1 already", "keep one"),
        ("3:", f"did you mean {START_COMMAND}?", "[6x] is no time; write"),
        ("3:", "on line 1 already", ""),
        ("6:", "there is no API class", f"did you mean {START.wire_name}?"),
        ("7:", "sets no API's timeout", "write ApiTimeout.<API class> ="),
        ("9:", "there is no API class StartVm", "VmInstanceMsg"),
    ]
    assert len(said) == len(expected), said
    for line, parts in zip(said, expected, strict=True):
        assert line.startswith(parts[0]), line
        assert all(part in line for part in parts), line


def test_the_server_does_not_start_with_mistakes(make_install: Callable[..., Install]) -> None:
    install = make_install().prepare()
    (install.home / "timeouts.properties").write_text("ApiTimeout.x = 1h\n")
    done = install.run("serve")
    assert (done.returncode, "timeouts.properties:1: " in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr
    install.config.write_text(install.config.read_text() + f'timeouts_file = "{install.home / "none"}"\n')
    done = install.run("serve")
    assert (done.returncode, "none: No such file" in done.stderr) == (2, True)


def test_a_file_beside_the_configuration_is_read(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text(f'data_dir = "{tmp_path}"\nagents_dir = "{tmp_path}"\n')
    assert load_config(config).timeouts_file is None
    beside = tmp_path / "timeouts.properties"
    beside.write_text(NOTE)
    assert load_config(config).timeouts_file == beside
    config.write_text(config.read_text() + 'timeouts_file = "other.properties"\n')
    assert load_config(config).timeouts_file == tmp_path / "other.properties"


def table(**changed: Timeout) -> Timeouts:
    made = Timeouts(REGISTRY, {START.wire_name: Timeout(6 * HOUR, (START_COMMAND,))})
    made.follow(lambda: {f"{HEADER}.vm.API{verb}VmInstanceMsg": timeout for verb, timeout in changed.items()})
    return made


def test_which_time_holds() -> None:
    assert table().of_call(START, {}) == 6 * HOUR
    assert table().of_call(START, {"timeout": -1}) == 6 * HOUR
    assert table().of_call(START, {"timeout": 250}) == 250
    assert table().of_call(DESTROY, {}) == HOUR / 2
    assert table(Start=Timeout(1)).of_call(START, {}) == 1
    assert table().effective()[START.wire_name].source == "file"
    assert table(Start=Timeout(1)).effective()[START.wire_name].source == "changed"


def test_a_derived_message_has_its_base_s_time() -> None:
    class Derived(START):  # type: ignore[misc,valid-type]
        wire_name = "org.zstack.header.vm.APIDerivedMsg"

    registry = discover(apis)
    registry.messages[Derived.wire_name] = Derived
    assert Timeouts(registry, {START.wire_name: Timeout(7)}).of_call(Derived, {}) == 7


def test_inner_work_has_its_own_time_and_never_more_than_the_call(clock: Clock) -> None:
    timeouts = table(Reboot=Timeout(8 * HOUR, (START_COMMAND,)))
    assert timeouts.of_command("/vm/stop") == 300
    assert timeouts.of_command("/vm/start") == 8 * 3600, "of two APIs that name it, the longer one"
    with timeouts.bound(START, 2.0):
        assert timeouts.of_command("/vm/start") == timeouts.of_command("/vm/stop") == 2
    with timeouts.bound(START, 9 * 3600.0):
        assert timeouts.of_command("/vm/start") == 9 * 3600, "the call names it: it may take all of the time"
        assert timeouts.of_command("/vm/stop") == 300
    with timeouts.bound(START, -1):
        assert timeouts.of_command("/vm/start") == 0


def test_deadlines_only_tighten_and_undoing_has_a_grace(clock: Clock) -> None:
    assert deadlines.clip(5) == 5
    with deadlines.within(2), deadlines.within(100):
        assert (deadlines.remaining(), deadlines.passed()) == (2, False)
        clock.now += 2
        assert deadlines.passed()
        with deadlines.grace(3):
            assert deadlines.remaining() == 3
        assert deadlines.passed()
    assert not deadlines.passed()


def test_a_lock_is_waited_for_until_the_deadline() -> None:
    locks = KeyedLocks(lambda key: ApiError("SYS.1001", str(key)))
    with locks("vm", "x"):
        caught: list[ApiError] = []

        def wait() -> None:
            try:
                with deadlines.within(0.1), locks("vm", "x"):
                    raise AssertionError("it is held")
            except ApiError as error:
                caught.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join()
    assert [error.code for error in caught] == ["SYS.1001"]
    with locks("vm", "x"):
        pass


def test_values_that_a_call_may_give() -> None:
    assert parse_value(" ; 1h", INNER) == Timeout(HOUR)
    assert parse_value(f"{DOWNLOAD}, {DOWNLOAD}; 1h", INNER) == Timeout(HOUR, (DOWNLOAD,))
    with pytest.raises(LineError, match="inner class is missing"):
        parse_value(f"{DOWNLOAD},; 1h", INNER)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 15_000 + os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            yield made


@pytest.fixture(autouse=True)
def whole(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "site" in request.fixturenames:
        for host in request.getfixturevalue("site").hosts:
            host.faults.clear()


def codes(error: dict[str, Any]) -> list[str]:
    """The codes of an error and of its causes."""
    return [error["code"], *(codes(error["cause"]) if "cause" in error else [])]


def test_a_late_start_is_undone_and_what_it_left_is_collected(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    assert site.vm("Stop", vm["uuid"])["success"]
    host = next(host for host in site.hosts if host.asked("/vm/start"))
    late = threading.Event()
    host.faults["/vm/start"] = Fault(until=late, times=1)
    host.faults["/vm/destroy"] = Fault(refused="busy", times=1)
    error = site.vm("Start", vm["uuid"], timeout=TOO_LITTLE)["error"]  # the caller is not kept waiting for the agent
    assert codes(error) == ["SYS.1001", "HOST.1005", "SYS.1001"]
    assert (START.wire_name in error["details"], "3 s" in error["details"]) == (True, True)
    assert "/vm/start" in error["cause"]["cause"]["details"]
    assert site.row("vm", vm["uuid"])["state"] == "Stopped"
    late.set()
    eventually(lambda: "was dropped" in log_of(site.install), "the late answer is dropped and logged")
    assert site.vm("Start", vm["uuid"])["success"], "later it works"
    site.vm("Destroy", vm["uuid"])


def test_a_removal_that_is_out_already_is_handed_to_the_collection(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    host = site.host_of(vm)
    late = threading.Event()
    host.faults["/vm/destroy"] = Fault(until=late, times=1)
    assert site.vm("Destroy", vm["uuid"], timeout=TOO_LITTLE) == {"success": True}
    assert site.row("vm", vm["uuid"])["state"] == "Destroyed"
    names = [job["name"] for job in site.jobs()]
    assert f"delete-vm-{vm['uuid']}" in names
    late.set()
    eventually(lambda: not site.unfinished(), "it is collected")
    assert vm["uuid"] not in host.vms


def test_nothing_is_asked_of_an_agent_after_the_time(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    host = site.host_of(vm)
    turn = threading.Event()
    host.faults["/vm/stop"] = Fault(until=turn, times=1)
    body = {f"{HEADER}.vm.APIStopVmInstanceMsg": {"uuid": vm["uuid"], "session": site.session}}
    first = site.install.send(json=body).json()
    assert first["timeout"] == HOUR / 2
    eventually(lambda: bool(host.asked("/vm/stop")), "the first call has its turn")
    before = len(host.asked("/vm/reboot"))
    late = site.vm("Reboot", vm["uuid"], timeout=300)
    assert late["error"]["code"] == "SYS.1001", "it is told so before its turn comes"
    turn.set()
    site.vm("Destroy", vm["uuid"])
    assert len(host.asked("/vm/reboot")) == before


def test_a_child_process_is_ended_at_the_deadline(site: Cloud) -> None:
    ssh = site.install.home / "programs" / "ssh"
    quick = ssh.read_text()
    ssh.write_text("#!/bin/sh\nsleep 1000\n")
    try:
        answer = site.call(f"{HEADER}.host.APIReconnectHostMsg", uuid=site.uuids["host0"], timeout=5000)
    finally:
        ssh.write_text(quick)
    assert codes(answer["error"]) == ["SYS.1001", "HOST.1002", "SYS.1001"]
    assert site.row("host", site.uuids["host0"])["status"] == "Disconnected"
    assert site.reconnect(0) == {"success": True}, "later it works"


def test_a_client_waits_as_long_as_the_server_says(server: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def wait(_self: Connection, _state: dict[str, Any], deadline: float) -> dict[str, Any]:
        waited.append(deadline - time.monotonic())
        return {"result": '{"x": {"success": true}}'}

    with Connection(Server(port=server.port)) as connection:
        connection.log_in("admin", PASSWORD)
        monkeypatch.setattr(Connection, "_wait", wait)
        connection.call(START.wire_name, {"uuid": uuid.uuid4().hex, "timeout": 6 * HOUR})
        connection.call(START.wire_name, {"uuid": uuid.uuid4().hex})
    assert waited[0] > 6 * 3600
    assert 1800 < waited[1] < 3600
