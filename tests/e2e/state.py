"""What the product's installer is answerable for on a host, as one value: two of them tell what a run changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.e2e.product import NOT_STATE, TOUCHED, database, schema
from tests.lab import Host

OWN = "/var/lib/sealift/installer"
_RUN = (f"{OWN}/journal", f"{OWN}/backup", f"{OWN}/lock")
"""What every run leaves, also one that was undone."""
_DATABASE = tuple(f"/var/lib/sealift/sealift.db{suffix}" for suffix in ("", "-wal", "-shm", "-journal"))
"""Compared by its rows."""
_RUNTIME = ("/var/lib/sealift/.ansible", "/var/lib/sealift/ansible", "/opt/sealift-agents")
"""What the server itself writes while it runs."""
_UNIQUE = (
    "/etc/hostname",
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/ssh",
    "/etc/sealift/admin_password",
    "/root/.ssh",
    "/var/lib/sealift/keys",
    "/var/lib/sealift/tls",
    f"{OWN}/state.json",
)
"""What differs between two hosts with the same history: identities, keys, secrets, times."""


@dataclass(frozen=True)
class State:
    """Files, packages, units and data of a host."""

    tree: dict[str, str]
    packages: frozenset[str]
    units: dict[str, str]
    rows: dict[str, list[str]]
    schema: str

    def differences(self, other: State) -> list[str]:
        """What is not the same in `other`, a line each."""
        found = [f"{path}: {one} / {two}" for path, one, two in _unequal(self.tree, other.tree)]
        found += [f"package {name}" for name in sorted(self.packages ^ other.packages)]
        found += [f"unit {name}: {one} / {two}" for name, one, two in _unequal(self.units, other.units)]
        found += [f"table {name}: {one} / {two}" for name, one, two in _unequal(self.rows, other.rows)]
        return found + ([] if self.schema == other.schema else [f"schema: {self.schema} / {other.schema}"])


def settle(host: Host, *, check: bool = True) -> None:
    """Wait until the server that starts at boot is up, and the agent that it deploys then (1.1.0 has one)."""
    ready = "systemctl is-active -q sealift-server && { [ ! -d /opt/sealift/current/agents/console ] ||"
    ready += " systemctl is-active -q sealift-console-agent; }"
    host.sh(f"for i in $(seq 3000); do {ready} && exit 0; sleep 0.1; done; exit 1", check=check)


def look(host: Host) -> State:
    """The state of a host on which the product is installed and runs."""
    return State(_tree(host, ()), host.rpm_qa(), _units(host), database(host), schema(host))


def look_across(host: Host) -> State:
    """The same without what differs between any two hosts: for comparing a host with another one."""
    tree = {path: state for path, state in _tree(host, _UNIQUE).items() if not path.endswith(".pyc")}
    tree["accounts"] = host.sh("cut -d: -f1,6,7 /etc/passwd | sort; cut -d: -f1,4 /etc/group | sort")
    rows = {name: [str(len(lines))] for name, lines in database(host).items()}
    return State(tree, host.rpm_qa(), _units(host), rows, schema(host))


def look_at_files(host: Host) -> tuple[dict[str, str], frozenset[str]]:
    """Every file and package, for a host on which the product need not run."""
    paths = ["/etc", "/opt", "/usr/local", "/var/lib/sealift", "/var/log/sealift"]
    return host.tree(paths, without=[f"{OWN}/lock", *_DATABASE, *_RUNTIME]), host.rpm_qa()


def _tree(host: Host, without: Iterable[str]) -> dict[str, str]:
    return host.tree(TOUCHED, without=[*NOT_STATE, *_RUN, *_DATABASE, *_RUNTIME, *without])


def _units(host: Host) -> dict[str, str]:
    script = (
        "for u in sealift-server sealift-console-agent; do "
        'echo "$u $(systemctl is-enabled $u || true) $(systemctl is-active $u || true)"; done'
    )
    return dict(line.split(" ", 1) for line in host.sh(script).splitlines() if line)


def _unequal(one: Mapping[str, object], two: Mapping[str, object]) -> Iterable[tuple[str, object, object]]:
    for key in sorted(one.keys() | two.keys()):
        if one.get(key) != two.get(key):
            yield key, one.get(key), two.get(key)
