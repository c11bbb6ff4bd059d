"""Does a host need a deployment? Decided from plain values."""

from dataclasses import dataclass

from management.deploy.desired import Desired


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look at the host showed. Empty text means: not there."""

    deployed: str
    python: str
    venv_python: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Deploy or skip, and why."""

    deploy: bool
    reason: str


def probe_command(desired: Desired) -> str:
    """The shell command whose output `parse_facts` reads. One round trip, nothing is changed."""
    home = desired.agent.home
    return (
        f"printf 'deployed=%s\\n' \"$(cat {home}/deployed 2>/dev/null)\"; "
        "printf 'python=%s\\n' \"$(python3 -c 'import platform; print(platform.python_version())')\"; "
        f"printf 'venv=%s\\n' \"$(sed -n 's/^version = //p' {home}/current/venv/pyvenv.cfg 2>/dev/null)\""
    )


def parse_facts(output: str) -> Facts:
    """Read what `probe_command` printed. Lines that it did not print (a login banner) are ignored."""
    values = dict(line.partition("=")[::2] for line in output.splitlines() if "=" in line)
    return Facts(values.get("deployed", ""), values.get("python", ""), values.get("venv", ""))


def decide(desired: Desired, facts: Facts, health: str | None) -> Decision:
    """Compare. `health` is None when the agent answered, and otherwise why it did not."""
    if not facts.deployed:
        return Decision(True, "no deployment has been finished on this host")
    if facts.deployed != desired.fingerprint:
        return Decision(True, f"deployed is {facts.deployed[:12]}, wanted is {desired.fingerprint[:12]}")
    if facts.python != facts.venv_python:
        text = f"the agent's environment has Python {facts.venv_python or 'none'}, the host {facts.python}"
        return Decision(True, text)
    if health is not None:
        return Decision(True, f"the agent does not answer: {health}")
    return Decision(False, f"fingerprint {desired.fingerprint[:12]} is deployed and the agent answers")
