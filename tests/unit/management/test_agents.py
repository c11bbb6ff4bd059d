"""The agents as real processes: their calls, their token, and a console through websockify."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from management.deploy.client import AgentClient, AgentError
from tests.lab.command import descendants
from tests.ports import free_port
from tests.unit.management.patience import PATIENCE

AGENTS = Path(__file__).parents[3] / "management" / "agents"
TOKEN = "agent-token-of-this-test"
SESSION = "7dd1000000000000000000000000aaaa"


@pytest.fixture
def proxy_port() -> int:
    return free_port()


def wait_for(port: int, agent: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert agent.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., AgentClient]]:
    """Start an agent as its unit does."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(name: str, port: int, *options: str) -> AgentClient:
        (tmp_path / "token").write_text(TOKEN + "\n")
        (tmp_path / "agent.json").write_text(
            json.dumps(
                {
                    "listen_address": "127.0.0.1",
                    "listen_port": port,
                    "state_dir": str(tmp_path / "state"),
                    "token_file": str(tmp_path / "token"),
                    "server_ca_file": str(tmp_path / "ca.pem"),
                }
            )
        )
        argv = [sys.executable, "-P", "-m", f"sealift_{name}_agent", "--config", str(tmp_path / "agent.json")]
        environment = {**os.environ, "PYTHONPATH": str(AGENTS / name)}
        log = tmp_path / "log"
        with log.open("wb") as stream:
            agent = subprocess.Popen([*argv, *options], stderr=stream, env=environment, cwd="/")
        running.append(agent)
        wait_for(port, agent, log)
        return AgentClient("127.0.0.1", port, TOKEN)

    yield begin
    for agent in running:
        with agent:
            if agent.poll() is not None:
                continue
            agent.terminate()
            try:
                assert agent.wait(PATIENCE) in (0, -signal.SIGTERM)
            finally:
                agent.kill()


def test_host_agent(start: Callable[..., AgentClient], port: int) -> None:
    client = start("host", port)
    assert client.call("/host/echo") == {"success": True}
    assert client.call("/host/ping")["hostUuid"] is None
    assert client.call("/host/connect", {"hostUuid": "a1"})["agentVersion"]
    assert client.call("/host/ping")["hostUuid"] == "a1"
    capacity = client.call("/host/capacity")
    assert capacity["cpuNum"] == len(os.sched_getaffinity(0)) or capacity["cpuNum"] >= 1
    assert 0 < capacity["usedMemory"] < capacity["totalMemory"]
    assert client.call("/host/fact")["hostName"] == socket.gethostname()
    with pytest.raises(AgentError, match="hostUuid must be given"):
        client.call("/host/connect", {})
    with pytest.raises(AgentError, match="404"):
        client.call("/host/nothing")


def test_agents_refuse_strangers(start: Callable[..., AgentClient], port: int) -> None:
    start("host", port)
    with pytest.raises(AgentError, match="401"):
        AgentClient("127.0.0.1", port, "guess").call("/host/echo")
    url = f"http://127.0.0.1:{port}/host/echo"
    assert httpx.post(url, timeout=PATIENCE).status_code == 401
    assert httpx.get(url, timeout=PATIENCE).status_code == 501
    allowed = {"Authorization": f"Bearer {TOKEN}"}
    for body in (b"nonsense", b"[]", b"[" * 100_000, b"x" * (2 << 20)):
        assert httpx.post(url, content=body, headers=allowed, timeout=PATIENCE).json()["success"] is False


@pytest.fixture
def vnc() -> Iterator[int]:
    """Something that greets like a VNC server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.sendall(b"RFB 003.008\n")
                    peer.recv(64)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@contextmanager
def visitor(port: int, token: str) -> Iterator[socket.socket]:
    """A browser that asks for the console behind `token`."""
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as browser:
        browser.sendall(
            f"GET /?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n\r\n".encode()
        )
        yield browser


def greeting(port: int, token: str) -> bytes:
    """What a browser gets from the proxy: the HTTP answer and the first frames."""
    with visitor(port, token) as browser:
        said = b""
        with suppress(ConnectionResetError):
            while b"RFB 003.008\n" not in said and (chunk := browser.recv(4096)):
                said += chunk
        return said


def test_console_agent_opens_a_console_by_token(
    start: Callable[..., AgentClient], port: int, proxy_port: int, vnc: int, tmp_path: Path
) -> None:
    client = start("console", port, "--proxy-port", str(proxy_port))
    assert client.call("/ping")["success"] is True
    access: dict[str, Any] = {"token": SESSION, "targetHostname": "127.0.0.1", "targetPort": vnc}
    proxy = client.call("/establish", {**access, "vmUuid": "vm1"})["proxyPort"]
    assert client.call("/check", access)["available"] is True
    assert greeting(proxy, SESSION).endswith(b"RFB 003.008\n")
    assert b"RFB" not in greeting(proxy, "another-token")
    (file,) = (tmp_path / "state" / "tokens").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    client.call("/delete", {"vmUuid": "vm1"})
    client.call("/delete", {"vmUuid": "vm1"})
    assert client.call("/check", access)["available"] is False
    assert b"RFB" not in greeting(proxy, SESSION)
    assert SESSION not in (tmp_path / "log").read_text()


def test_a_new_token_ends_the_one_before(
    start: Callable[..., AgentClient], port: int, proxy_port: int, vnc: int, tmp_path: Path
) -> None:
    client = start("console", port, "--proxy-port", str(proxy_port))
    before: dict[str, Any] = {"token": SESSION, "targetHostname": "127.0.0.1", "targetPort": vnc}
    after = {**before, "token": SESSION[::-1]}
    for access in (before, after):
        proxy = client.call("/establish", {**access, "vmUuid": "vm1"})["proxyPort"]
    assert [client.call("/check", access)["available"] for access in (before, after)] == [False, True]
    assert b"RFB" not in greeting(proxy, before["token"])
    assert greeting(proxy, after["token"]).endswith(b"RFB 003.008\n")
    client.call("/delete", {"vmUuid": "vm1"})
    assert list((tmp_path / "state" / "tokens").iterdir()) == []


def test_console_agent_needs_its_proxy_port(
    start: Callable[..., AgentClient], port: int, proxy_port: int, tmp_path: Path
) -> None:
    start("console", port, "--proxy-port", str(proxy_port))
    with pytest.raises(AssertionError, match="another program listens"):
        start("console", free_port(), "--proxy-port", str(proxy_port))


def test_console_agent_ends_though_its_proxy_does_not(
    start: Callable[..., AgentClient], port: int, proxy_port: int, vnc: int
) -> None:
    client = start("console", port, "--proxy-port", str(proxy_port))
    client.call("/establish", {"token": SESSION, "targetHostname": "127.0.0.1", "targetPort": vnc, "vmUuid": "vm1"})
    with visitor(proxy_port, SESSION) as browser:
        assert browser.recv(4096)
        # More may be there: a child that was made for the look whether it listens.
        agent, proxy, *_ = (pid for pid in descendants(os.getpid()) if b"sealift_console_agent" in arguments(pid))
        os.kill(proxy, signal.SIGSTOP)  # what it does not see is as good as lost
        os.kill(agent, signal.SIGTERM)
        browser.settimeout(PATIENCE)
        with suppress(ConnectionResetError):
            while browser.recv(4096):
                pass


def arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


@pytest.mark.parametrize(
    "change",
    [{"vmUuid": "../x"}, {"token": "a\nb: c:1 aaaaaa"}, {"targetHostname": "h\nx"}, {"targetPort": 0}, {"token": ""}],
)
def test_console_agent_refuses_what_could_smuggle(
    start: Callable[..., AgentClient], port: int, proxy_port: int, change: dict[str, Any], tmp_path: Path
) -> None:
    client = start("console", port, "--proxy-port", str(proxy_port))
    body = {"vmUuid": "vm1", "token": SESSION, "targetHostname": "127.0.0.1", "targetPort": 5900}
    with pytest.raises(AgentError, match="wrong form"):
        client.call("/establish", {**body, **change})
    assert list((tmp_path / "state" / "tokens").iterdir()) == []
