"""What real agents do with a move that goes wrong half way: a relay between them loses words, and agents are killed."""

import json
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.unit.management.agent_rigs import RealRig, Rig, pair
from tests.unit.management.patience import PATIENCE
from tests.unit.management.simulator import Body
from tests.unit.management.test_agent_contract import DELETE, DONE, make_volume, refused, run_vm, running
from tests.unit.management.test_moves import Pair, machine, state

RELAY = "127.0.0.9"


@pytest.fixture
def hosts() -> Iterator[Pair]:
    with pair(RealRig) as made:
        yield made


class Relay:
    """Stands where the target seems to be. It passes calls on, but not those in `unheard`; not answers in `unsaid`."""

    def __init__(self, target: Rig) -> None:
        relay, self.unheard, self.unsaid, self.heard = self, set[str](), set[str](), list[tuple[str, Body]]()

        class Pass(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                relay.heard.append((self.path, body))
                if self.path in relay.unheard:
                    return
                said = json.dumps(relay.answer(target, self.path, body)).encode()
                if self.path not in relay.unsaid:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(said)))
                    self.end_headers()
                    self.wfile.write(said)

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.silent, self.listens = list[socket.socket](), threading.Event()
        self.server = ThreadingHTTPServer((RELAY, target.client.port), Pass)

    def answer(self, target: Rig, path: str, body: Body) -> Body:
        return target.call(path, **body)


@contextmanager
def between(target: Rig, kind: type[Relay] = Relay) -> Iterator[Relay]:
    made = kind(target)
    threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    for each in made.silent:
        each.close()


def told_of(source: Rig, vm: str, root: str) -> Body:
    addresses = {"srcHostIp": source.client.address, "destHostIp": RELAY}
    return {"vmUuid": vm, "vm": machine(vm, root), "storageMigrationPolicy": "FullCopy", **addresses}


def begin(source: Rig, vm: str, root: str, seconds: float = PATIENCE) -> Body:
    return source.call("/vm/migrate", seconds=seconds, **told_of(source, vm, root))


def test_a_word_that_is_lost_leaves_it_paused_until_both_are_asked(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    with between(target) as relay:
        relay.unheard = {"/vm/takeover"}
        assert refused(begin(source, vm, root))
        assert (state(source, vm), state(target, vm), running(source)) == ("Paused", "Shutdown", {})
        source.stop()
        source.start()
        assert state(source, vm) == "Paused", "an agent that starts knows no more"
        assert target.call("/vm/release", vmUuid=vm) == DONE
        assert not target.has(root)
        assert source.call("/vm/resume", vmUuid=vm) == DONE
        assert running(source) == {vm: "Running"}

        relay.unheard, relay.unsaid = set(), {"/vm/takeover"}
        assert refused(begin(source, vm, root))
        assert (state(source, vm), state(target, vm)) == ("Paused", "Running")
        assert refused(target.call("/vm/release", vmUuid=vm))
        assert source.call("/vm/destroy", uuid=vm) == DONE
        assert (running(source), running(target)) == ({}, {vm: "Running"})


class Hole(Relay):
    """Its target listens, and never says anything."""

    def answer(self, target: Rig, path: str, body: Body) -> Body:
        if path != "/vm/receive":
            return {"success": True}
        self.silent = [socket.create_server((RELAY, port)) for port in (49152, 49153)]
        self.listens.set()
        return {"success": True, "address": RELAY, "diskPort": 49152, "port": 49153}


def test_a_target_that_hangs_is_given_up_in_time(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    with between(target, Hole) as relay:
        for seconds in (1, 4, 16):
            assert refused(begin(source, vm, root, seconds=seconds)), "its time is over"
            # A machine that is too slow to ask the target in that time gets more.
            if relay.listens.is_set():
                break
        assert (running(source), relay.heard[-1][0]) == ({vm: "Running"}, "/vm/release")
    assert not (source.folder / "state" / "vms" / vm / "leaving").exists()
    assert source.call("/vm/reboot", uuid=vm, timeout=0) == DONE


def test_a_move_is_undone_when_its_agent_dies_while_it_copies(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    assert isinstance(source, RealRig)
    with between(target, Hole) as relay:
        source.begin("/vm/migrate", **told_of(source, vm, root))
        assert relay.listens.wait(PATIENCE)
        link, _ = relay.silent[0].accept()
        source.kill()
        source.start()
        assert running(source) == {vm: "Running"}
        link.close()
    assert not (source.folder / "state" / "vms" / vm / "leaving").exists()
    assert source.call("/vm/reboot", uuid=vm, timeout=0) == DONE


def test_what_waits_is_ended_when_its_time_is_over(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    with between(target) as relay:
        assert begin(source, vm, root) == DONE
        (told,) = [body for path, body in relay.heard if path == "/vm/receive"]
    assert target.call("/vm/destroy", uuid=vm) == DONE
    assert target.call(DELETE, path=root) == DONE
    # It has to begin to wait: a machine that is too slow for that gets more time.
    assert any(not refused(target.call("/vm/receive", seconds=seconds, **told)) for seconds in (2, 8, 30))
    folder, ends = target.folder / "state" / "vms" / vm, time.monotonic() + PATIENCE
    while folder.exists() and time.monotonic() < ends:
        time.sleep(0.05)
    assert (target.has(root), folder.exists()) == (False, False)


def test_what_waits_is_ended_when_nobody_comes(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    with between(target) as relay:
        relay.unheard = {"/vm/takeover", "/vm/release"}
        assert refused(begin(source, vm, root))
        assert target.has(root)
        folder = target.folder / "state" / "vms" / vm
        assert folder.exists()
        assert oct((folder / "keys.psk").stat().st_mode)[-3:] == "600"
        assert isinstance(target, RealRig)
        target.kill()
        target.start()
        assert running(target) == {}
        assert (target.has(root), folder.exists()) == (False, False)
        assert subprocess.run(["pgrep", "-fc", f"{vm}.*incoming"], check=False, capture_output=True).stdout == b"0\n"
        (told,) = [body for path, body in relay.heard if path == "/vm/receive"]
    stranger = {**told, "processor": {"kvm": True}, "vm": {**told["vm"], "vmInstanceUuid": uuid.uuid4().hex}}
    answer = target.call("/vm/receive", **stranger)
    assert "another processor" in answer["error"]
    assert (target.has(root), list((target.folder / "state" / "vms").iterdir())) == (False, [])
    assert source.call("/vm/resume", vmUuid=vm) == DONE
