"""Agents that run and are deployed already, on loopback addresses of their own, for a server that is a real process.

What is not real is the way to the host: an `ssh` first on PATH prints what a look at such a host prints. The agents
speak through the real agents' own protocol module, and answer what a test says.
"""

import importlib
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from management.deploy.desired import Agent, describe
from management.deploy.keys import agent_token
from management.server import hosts
from management.server.apis import console
from management.server.certificates import Certificates

ROOT = Path(__file__).parents[3]
HOST, CONSOLE = hosts.AGENT, console.AGENT

Answers = Mapping[str, dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]]
"""Path to what the agent answers, or does."""


def loopback() -> str:
    """An address of this machine that nobody else is likely to use."""
    return f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"


@contextmanager
def deployed(home: Path, agents: Mapping[str, tuple[Agent, Answers]]) -> Iterator[dict[str, str]]:
    """Run agents at these addresses for the install in `home`; yields the environment that its server needs."""
    keys = home / "data" / "keys"
    (keys / "id_ed25519").write_text("not asked for: ssh is another program here\n")
    token = agent_token(keys)
    certificates = Certificates(home / "data" / "tls")
    certificates.ensure(())
    authority = certificates.authority.read_text()
    cases = []
    with ExitStack() as stack:
        for address, (agent, answers) in agents.items():
            fingerprint = describe(agent, address, _release(home, agent), token, authority).fingerprint
            cases.append(f"*' {address} '*{agent.home}/*) echo deployed={fingerprint}; echo python=3; echo venv=3;;")
            stack.enter_context(_serving(home, agent, address, token, answers))
        programs = home / "programs"
        programs.mkdir()
        ssh = programs / "ssh"
        ssh.write_text('#!/bin/sh\ncase " $* " in\n' + "\n".join(cases) + "\n*) exit 255;;\nesac\n")
        ssh.chmod(0o755)
        yield {"PATH": f"{programs}:/usr/bin:/bin"}


def _release(home: Path, agent: Agent) -> Path:
    folder = home / "agents" / agent.name
    folder.mkdir(exist_ok=True)
    for name in ("requirements.txt", "pip-1-py3-none-any.whl", f"sealift_{agent.name}_agent-1-py3-none-any.whl"):
        (folder / name).touch()
    return folder


@contextmanager
def _serving(home: Path, agent: Agent, address: str, token: str, answers: Answers) -> Iterator[None]:
    rpc = _protocol(agent)
    calls = {path: answer if callable(answer) else lambda _body, it=answer: it for path, answer in answers.items()}
    settings = rpc.Settings(address, agent.port, home / "state", token, home / "data" / "tls" / "ca.pem")
    with rpc.RpcServer(settings, calls) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _protocol(agent: Agent) -> ModuleType:
    folder = str(ROOT / "management" / "agents" / agent.name)
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f"sealift_{agent.name}_agent.rpc")
