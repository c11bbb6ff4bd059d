"""What an agent on a host should be: plain values and one fingerprint over all of them. No I/O on hosts here."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

from jinja2 import StrictUndefined, Template

from management.deploy.packages import PackageSource

AGENTS_ROOT = "/opt/sealift-agents"
STATE_ROOT = "/var/lib/sealift-agents"
# Part of the fingerprint: raise it when the playbook lays a host out differently.
LAYOUT = 1
PYTHON_ARCHIVE = "python.tar.gz"
"""Beside the wheels where the release brings its own Python: one folder `python/`."""


class PackageMissingError(Exception):
    """The release does not bring what the agent is made of."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A kind of agent. Its wheel is `sealift-<name>-agent`, its unit `sealift-<name>-agent.service`."""

    name: str
    port: int
    health_path: str
    stores: bool = False
    """It keeps files in folders that the operator names, not only in its state folder."""
    outlived: bool = False
    """What it has started goes on when it ends."""

    @property
    def unit(self) -> str:
        return f"sealift-{self.name}-agent.service"

    @property
    def home(self) -> str:
        return f"{AGENTS_ROOT}/{self.name}"

    @property
    def reposdir(self) -> str:
        """The private folder with the repository that the host's packages come from."""
        return f"{self.home}/packages"


def removal_command() -> str:
    """The shell command that takes every agent off a host; it can run twice."""
    unit, folder = "sealift-$name-agent.service", "/etc/systemd/system"
    return (
        f'for home in {AGENTS_ROOT}/*/; do [ -d "$home" ] || continue; name=$(basename "$home"); '
        f'systemctl disable --quiet --now "{unit}"; rm -f "{folder}/{unit}"; done; '
        f"rm -rf {AGENTS_ROOT} {STATE_ROOT}; systemctl daemon-reload"
    )


@dataclass(frozen=True, slots=True)
class Target:
    """A host as SSH reaches it."""

    address: str
    port: int
    user: str


@dataclass(frozen=True, slots=True)
class Desired:
    """An agent's state on one host. `files` holds archive names relative to the agent's release folder; of the host's
    packages, `packages` must be there, and `reposdir` says where they come from (names and contents)."""

    agent: Agent
    address: str
    pip: str
    files: tuple[tuple[str, Path], ...]
    brings_python: bool
    config: str
    unit: str
    token: str
    authority: str
    fingerprint: str
    packages: tuple[str, ...] = ()
    reposdir: tuple[tuple[str, bytes], ...] = ()

    @property
    def release(self) -> str:
        return f"{self.agent.home}/{self.fingerprint}"

    @property
    def python(self) -> str:
        """The program that makes the agent's environment."""
        return f"{self.release}/python/bin/python3" if self.brings_python else "python3"


def describe(
    agent: Agent, address: str, folder: Path, token: str, authority: str, *, source: PackageSource | None = None
) -> Desired:
    """The desired state of `agent` listening on `address`, made from the wheels in `folder`. With `source`, the host is
    to have its packages too.

    It trusts a server whose certificate is signed by `authority` (PEM).

    Raises:
        PackageMissingError: `folder` lacks the requirements, pip, or the agent's own wheel.
        KeysMissingError: there are no keys for the packages of `source`.
    """
    wheels = tuple(sorted(p for p in folder.glob("*") if p.is_file())) if folder.is_dir() else ()
    names = [file.name for file in wheels]
    pip = next((name for name in names if name.startswith("pip-") and name.endswith(".whl")), None)
    own = f"sealift_{agent.name}_agent-"
    if pip is None or "requirements.txt" not in names or not any(name.startswith(own) for name in names):
        raise PackageMissingError(
            f"{folder} must hold requirements.txt, a pip wheel and {own}*.whl; the release is incomplete"
        )
    config: dict[str, Any] = {
        "listen_address": address,
        "listen_port": agent.port,
        "state_dir": f"{STATE_ROOT}/{agent.name}",
        "token_file": f"{agent.home}/current/token",
        "server_ca_file": f"{agent.home}/current/ca.pem",
    }
    config_text = json.dumps(config, sort_keys=True, indent=2) + "\n"
    unit = _unit(agent)
    wanted, reposdir = ((), ()) if source is None else (source.wanted, source.files(agent.reposdir))
    identity = {
        "layout": LAYOUT,
        "agent": agent.name,
        "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in wheels},
        "config": config_text,
        "unit": unit,
        "authority": authority,
        "token": hashlib.sha256(token.encode()).hexdigest(),
        "packages": wanted,
        "reposdir": {name: hashlib.sha256(content).hexdigest() for name, content in reposdir},
    }
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    packed = tuple((f"wheels/{file.name}", file) for file in wheels)
    return Desired(
        agent,
        address,
        pip,
        packed,
        PYTHON_ARCHIVE in names,
        config_text,
        unit,
        token,
        authority,
        fingerprint,
        wanted,
        reposdir,
    )


def write_archive(desired: Desired, stream: BinaryIO) -> None:
    """Everything the host needs as one tar, because each file copied on its own costs a round trip.

    Names are relative to the agent's home folder.
    """
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, file in desired.files:
            _add(archive, f"{desired.fingerprint}/{name}", file.read_bytes(), 0o644)
        for name, content in desired.reposdir:
            _add(archive, f"packages/{name}", content, 0o644)
        _add(archive, f"{desired.fingerprint}/agent.json", desired.config.encode(), 0o644)
        _add(archive, f"{desired.fingerprint}/{desired.agent.unit}", desired.unit.encode(), 0o644)
        _add(archive, f"{desired.fingerprint}/fingerprint", f"{desired.fingerprint}\n".encode(), 0o644)
        _add(archive, f"{desired.fingerprint}/ca.pem", desired.authority.encode(), 0o644)
        _add(archive, f"{desired.fingerprint}/token", desired.token.encode(), 0o600)


def _unit(agent: Agent) -> str:
    text = (files("management.deploy") / "playbooks" / "agent.service.j2").read_text(encoding="utf-8")
    template = Template(text, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    rendered: str = template.render(agent=agent)
    return rendered


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
