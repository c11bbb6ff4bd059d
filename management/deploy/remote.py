"""SSH and Ansible as this install uses them: its own key, host keys pinned at first contact, no agent, no prompts."""

import json
import re
import shlex
import sys
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from management.deploy.desired import Target
from management.deploy.keys import KNOWN_HOSTS, private_key
from management.effects import ProcessError, Processes

PROBE_SECONDS = 20


class RemoteError(Exception):
    """A command or a playbook on a host failed; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Remote:
    """The way to hosts. `home` is the writable home of ssh and Ansible."""

    processes: Processes
    keys_dir: Path
    home: Path
    timeout: float

    def probe(self, target: Target, command: str) -> str:
        """Run one shell command by key and return its output.

        Raises:
            RemoteError: the host cannot be reached or refuses the key, or the command failed.
        """
        argv = ["ssh", *self._options(), "-o", "BatchMode=yes", "-i", str(private_key(self.keys_dir))]
        argv += ["-p", str(target.port), "-l", target.user, "--", target.address, command]
        try:
            done = self.processes.run(argv, env={"HOME": str(self.home)}, timeout=PROBE_SECONDS)
        except ProcessError as error:
            raise RemoteError(str(error)) from error
        if done.code != 0:
            said = done.stderr.strip() or f"exit code {done.code}"
            raise RemoteError(f"ssh {target.user}@{target.address}: {said}")
        return done.stdout

    def play(
        self, playbook: str, target: Target, variables: dict[str, Any], run_dir: Path, password: str | None = None
    ) -> None:
        """Run a packaged playbook against `target`, by key, or by `password` when one is given.

        The password goes to Ansible's standard input, and from there to ssh by Ansible's own askpass program.
        `run_dir` is a private folder of the caller's for this run.

        Raises:
            RemoteError: a task failed, or the host cannot be reached.
        """
        connection = {
            "ansible_host": target.address,
            "ansible_port": target.port,
            "ansible_user": target.user,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        variables_file = run_dir / "variables.json"
        variables_file.write_text(json.dumps({**connection, **variables}), encoding="utf-8")
        with as_file(files("management.deploy") / "playbooks") as playbooks:
            program = Path(sys.executable).with_name("ansible-playbook")
            argv = [str(program), "-i", "target,", "-e", f"@{variables_file}"]
            if password is None:
                argv += ["--private-key", str(private_key(self.keys_dir))]
            else:
                argv += ["--connection-password-file", "-"]
            argv.append(str(playbooks / playbook))
            environment = self._environment(playbooks / "ansible.cfg", by_password=password is not None)
            try:
                done = self.processes.run(argv, stdin=password, env=environment, cwd=run_dir, timeout=self.timeout)
            except ProcessError as error:
                raise RemoteError(str(error)) from error
        if done.code != 0:
            raise RemoteError(f"{playbook} on {target.address}: {failure_of(done.stdout, done.stderr)}")

    def _environment(self, config: Path, *, by_password: bool) -> dict[str, str]:
        options = self._options()
        if by_password:
            # Else a key that is already accepted would hide that the password is wrong.
            options += ["-o", "PreferredAuthentications=password,keyboard-interactive"]
        else:
            options += ["-o", "ControlMaster=auto", "-o", "ControlPersist=15s"]
        return {
            "HOME": str(self.home),
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_HOME": str(self.home / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.home / "ansible" / "tmp"),
            "ANSIBLE_SSH_ARGS": shlex.join(options),
        }

    def _options(self) -> list[str]:
        known = self.keys_dir / KNOWN_HOSTS
        pairs = ("StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={known}", "ConnectTimeout=10")
        return [
            word
            for pair in (*pairs, "HashKnownHosts=no", "IdentitiesOnly=yes", "LogLevel=ERROR")
            for word in ("-o", pair)
        ]


_FAILED = re.compile(r"^fatal: \[[^]]*\]: (?P<kind>[A-Z]+)! => (?P<json>\{.*\})\s*$", re.MULTILINE)
_TASK = re.compile(r"^TASK \[(?P<name>[^]]*)\]", re.MULTILINE)


def failure_of(stdout: str, stderr: str) -> str:
    """The reason in Ansible's output: the failed task's name and what it said."""
    found = _FAILED.search(stdout)
    if found is None:
        return stderr.strip()[-2000:] or stdout.strip()[-2000:] or "Ansible said nothing"
    tasks = _TASK.findall(stdout, 0, found.start())
    try:
        result = json.loads(found["json"])
    except ValueError:
        result = {"msg": found["json"]}
    parts = [str(result[key]).strip() for key in ("msg", "stderr") if result.get(key)]
    return f"task [{tasks[-1] if tasks else '?'}] {found['kind'].lower()}: {' / '.join(parts)}"
