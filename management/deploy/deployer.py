"""Bringing agents to their desired state: look, decide, and only then deploy."""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from management import deadlines
from management.deploy.client import AgentClient, AgentError
from management.deploy.decision import Decision, decide, parse_facts, probe_command
from management.deploy.desired import (
    PYTHON_ARCHIVE,
    Agent,
    Desired,
    PackageMissingError,
    Target,
    describe,
    removal_command,
    write_archive,
)
from management.deploy.keys import TOKEN, KeyMissingError, agent_token, public_key
from management.deploy.packages import REPOSITORY, KeysMissingError, PackageSource
from management.deploy.remote import Remote, RemoteError
from management.effects import Processes
from management.locks import KeyedLocks

log = logging.getLogger(__name__)

HEALTH_SECONDS = 10
PLAYS = 16
"""How many playbooks run at once: each takes a second of processor time and 60 MB."""


class DeployError(Exception):
    """An agent could not be deployed; the text says what failed where."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the server keeps what deployments need."""

    agents_dir: Path
    keys_dir: Path
    home: Path
    authority: Path
    """The certificate that agents trust this server by."""


class Deployer:
    """Deploys to several hosts at once, and to each host one agent at a time."""

    def __init__(self, processes: Processes, places: Places, timeout: float) -> None:
        self._places = places
        self._remote = Remote(processes, places.keys_dir, places.home, timeout)
        self._plays = threading.BoundedSemaphore(PLAYS)
        self._locks = KeyedLocks(lambda key: DeployError(f"other work on the agent of {key[-1]} took all the time"))

    def client(self, agent: Agent, address: str) -> AgentClient:
        """How to call `agent` on the host at `address`."""
        return AgentClient(address, agent.port, agent_token(self._places.keys_dir))

    def authorize(self, target: Target, password: str) -> None:
        """Put this install's public key on `target`. The password is used once and kept nowhere.

        Raises:
            DeployError: the host cannot be reached or refuses the password.
        """
        try:
            key = public_key(self._places.keys_dir)
            with self._run_dir() as run_dir:
                self._play("authorize.yml", target, {"public_key": key}, run_dir, password)
        except (RemoteError, KeyMissingError) as error:
            raise DeployError(str(error)) from error

    def ensure(self, agent: Agent, target: Target, source: PackageSource | None = None) -> Decision:
        """Make `agent` run on `target` as this release wants it, with the packages of `source` if the host can reach
        that. Does nothing, and says why, when it does already.

        Raises:
            DeployError: it does not run in the end.
        """
        with self._locks(agent.name, target.address):
            started = time.monotonic()
            try:
                desired = self._desired(agent, target, source)
                facts = parse_facts(self._remote.probe(target, probe_command(desired)))
                decision = decide(desired, facts, self._ailment(desired))
                if decision.deploy:
                    self._deploy(desired, target)
            except (RemoteError, KeyMissingError, PackageMissingError, KeysMissingError) as error:
                raise DeployError(f"{agent.name} agent on {target.address}: {error}") from error
            if decision.deploy and (ailment := self._ailment(desired)):
                raise DeployError(f"{agent.name} agent on {target.address} does not answer: {ailment}")
            done = "deployed" if decision.deploy else "deployment skipped"
            seconds = time.monotonic() - started
            log.info("%s agent on %s: %s in %.1f s: %s", agent.name, target.address, done, seconds, decision.reason)
            return decision

    def remove_all(self, target: Target) -> None:
        """Stop and remove every agent of ours on `target`.

        Raises:
            DeployError: the host cannot be reached.
        """
        try:
            self._remote.probe(target, removal_command())
        except (RemoteError, KeyMissingError) as error:
            raise DeployError(f"the agents on {target.address} were not removed: {error}") from error

    def _desired(self, agent: Agent, target: Target, source: PackageSource | None) -> Desired:
        token = agent_token(self._places.keys_dir)
        if source is not None and not source.reaches(target.address):
            names = ", ".join(source.wanted)
            log.warning("%s cannot reach %s: not installed there: %s", target.address, source.url, names)
            source = None
        authority = self._places.authority.read_text(encoding="ascii")
        return describe(agent, target.address, self._places.agents_dir / agent.name, token, authority, source=source)

    def _deploy(self, desired: Desired, target: Target) -> None:
        with self._run_dir() as run_dir:
            archive = run_dir / "agent.tar"
            with archive.open("wb") as stream:
                write_archive(desired, stream)
            host = f"[{desired.address}]" if ":" in desired.address else desired.address
            variables = {
                "agent_unit": desired.agent.unit,
                "agent_home": desired.agent.home,
                "agent_release": desired.release,
                "agent_archive": str(archive),
                "agent_pip": desired.pip,
                "agent_python": desired.python,
                "agent_python_archive": PYTHON_ARCHIVE if desired.brings_python else "",
                "agent_health": f"http://{host}:{desired.agent.port}{desired.agent.health_path}",
                "agent_token_file": str(self._places.keys_dir / TOKEN),
                "agent_packages": list(desired.packages),
                "agent_reposdir": desired.agent.reposdir,
                "agent_repository": REPOSITORY,
            }
            self._play("agent.yml", target, variables, run_dir)

    def _play(
        self, playbook: str, target: Target, variables: dict[str, Any], run_dir: Path, password: str | None = None
    ) -> None:
        seconds = deadlines.remaining()
        if not self._plays.acquire(timeout=seconds if seconds < threading.TIMEOUT_MAX else None):
            raise DeployError(f"deployments to other hosts took all the time that there was for {target.address}")
        try:
            self._remote.play(playbook, target, variables, run_dir, password)
        finally:
            self._plays.release()

    def _ailment(self, desired: Desired) -> str | None:
        """None when the agent answers its health question, else why not. An open port is no answer."""
        client = AgentClient(desired.address, desired.agent.port, desired.token)
        try:
            client.call(desired.agent.health_path, timeout=HEALTH_SECONDS)
        except AgentError as error:
            return str(error)
        return None

    @contextmanager
    def _run_dir(self) -> Iterator[Path]:
        """A folder that only the server can read (mkdtemp makes it 0700) and that is gone afterwards."""
        runs = self._places.home / "ansible" / "runs"
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=runs) as folder:
            yield Path(folder)
