"""A lab host as tests see it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.cache import digest_of
from tests.lab.command import RunningCommand, enter, environment, run_on_terminal, run_plain
from tests.lab.container import Container, Placement
from tests.lab.namespaces import in_network
from tests.lab.process import Argv, Completed, LabError, describe
from tests.lab.root import NEVRA_FORMAT
from tests.lab.storage import Snapshot

_TREE_SCRIPT = Path(__file__).with_name("tree_digest.py")
_TIMEOUT = 300.0


class Host:
    """An EL-like host: systemd as PID 1, dnf and rpm, an address on the lab's network. Made by `Lab.boot`."""

    def __init__(self, placement: Placement) -> None:
        self._at = placement
        self._container: Container | None = None
        self._commands: list[RunningCommand] = []

    def __repr__(self) -> str:
        return f"Host({self.name!r}, {self.address!r})"

    @property
    def name(self) -> str:
        return self._at.name

    @property
    def address(self) -> str:
        return self._at.address

    @property
    def port(self) -> str:
        """The device on the lab's bridge that the host's packets pass."""
        return self._at.port

    @property
    def running(self) -> bool:
        return self._container is not None and self._container.alive()

    @property
    def container(self) -> Container:
        """The running container.

        Raises:
            LabError: the host is off.
        """
        if self._container is None:
            raise LabError(f"host {self.name} is off")
        return self._container

    # --- commands ---------------------------------------------------------------------------------------------

    def run(
        self,
        argv: Argv,
        *,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        timeout: float = _TIMEOUT,
        tty: bool = False,
    ) -> Completed:
        """Run a command in the host with a clean environment; stdin is `input` or empty.

        With `tty`, it has a terminal, and its errors are part of its output.

        Raises:
            LabError: it failed and `check` is true, or it takes longer than `timeout`.
        """
        runner = run_on_terminal if tty else run_plain
        done = runner(enter(self.container.leader, argv, cwd), environment(env), input, timeout)
        if check and done.returncode != 0:
            raise LabError(
                f"{self.name}: exit {done.returncode}: {describe(argv)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done

    def sh(self, script: str, *, check: bool = True, timeout: float = _TIMEOUT) -> str:
        """Run a shell script in the host and return its output."""
        return self.run(["sh", "-euc", script], check=check, timeout=timeout).stdout

    def popen(self, argv: Argv, *, env: Mapping[str, str] | None = None, cwd: str = "/root") -> RunningCommand:
        """Start a command with pipes as stdin and as stdout and stderr together."""
        process = subprocess.Popen(
            enter(self.container.leader, argv, cwd),
            env=environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        command = RunningCommand(process)
        self._commands.append(command)
        return command

    # --- files ------------------------------------------------------------------------------------------------

    def put(self, source: Path, target: str, mode: int | None = None) -> None:
        """Copy a file of this machine, or a folder with all its content, to the path `target` in the host."""
        if source.is_dir():
            pack = ["tar", "-C", str(source), "--owner=0", "--group=0", "-cf", "-", "."]
            self._pipe(pack, ["sh", "-c", 'mkdir -p "$1" && tar -C "$1" -xf -', "put", target])
            return
        mode = source.stat().st_mode & 0o7777 if mode is None else mode
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self._pipe(["cat", str(source)], ["sh", "-c", script, "put", target, f"{mode:o}"])

    def get(self, source: str, target: Path) -> None:
        """Copy a file of the host to the path `target` of this machine."""
        with target.open("wb") as output:
            self._raw(["cat", source], stdout=output)

    def read(self, path: str) -> str:
        """The text of a file in the host."""
        return self.run(["cat", path]).stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Make or replace a file in the host."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self.run(["sh", "-c", script, "write", path, f"{mode:o}"], input=text)

    def exists(self, path: str) -> bool:
        return self.run(["test", "-e", path], check=False).returncode == 0

    def tree(self, paths: Sequence[str], *, without: Sequence[str] = ()) -> dict[str, str]:
        """Every path below `paths` with its kind, mode, owner and content digest or link target."""
        skipped = [word for path in without for word in ("--except", path)]
        argv = ["python3", "-I", "-B", "-", *skipped, *paths]
        found = json.loads(self.run(argv, input=_TREE_SCRIPT.read_text()).stdout)
        return {str(path): str(state) for path, state in found.items()}

    def tree_hash(self, paths: Sequence[str], *, without: Sequence[str] = ()) -> str:
        """One digest of `tree`: equal means that nothing a person could see differs."""
        return digest_of(json.dumps(self.tree(paths, without=without), sort_keys=True))

    def rpm_qa(self) -> frozenset[str]:
        """What is installed, as name-epoch:version-release.arch; without imported keys."""
        lines = self.run(["rpm", "-qa", "--qf", NEVRA_FORMAT]).stdout.splitlines()
        return frozenset(line for line in lines if not line.startswith("gpg-pubkey-"))

    # --- state of the machine ----------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start the host and wait until it is up; its storage is what it was.

        Raises:
            LabError: it did not come up.
        """
        if self.running:
            raise LabError(f"host {self.name} runs already")
        self._container = Container.start(self._at)

    boot_again = boot

    def power_cut(self) -> None:
        """Kill everything in the host at once."""
        if self._container is not None:
            self._container.kill()
            self._container = None
        for command in self._commands:
            command.close()
        self._commands.clear()

    def power_off(self) -> None:
        """Shut the host down in order."""
        if self._container is not None:
            self._container.power_off()
        self.power_cut()

    def cut(self) -> None:
        """Pull the network cable."""
        in_network(self.container.network_pid, ["ip", "link", "set", "host0", "down"])

    def uncut(self) -> None:
        """Put the network cable back."""
        in_network(self.container.network_pid, ["ip", "link", "set", "host0", "up"])

    def snapshot(self, name: str = "snapshot") -> Snapshot:
        """Shut down, copy the host's changes, boot again. `Lab.boot(snapshot=…)` starts other hosts from it."""
        self.power_off()
        try:
            return self._at.storage.save(self._at.storage.folder / name)
        finally:
            self.boot()

    def restore(self, snapshot: Snapshot) -> None:
        """Cut the power, put the snapshot in place of every change, boot again."""
        self.power_cut()
        self._at.storage.load(snapshot)
        self.boot()

    def reset(self) -> None:
        """Cut the power, forget every change, boot again."""
        self.power_cut()
        self._at.storage.wipe()
        self.boot()

    def allow_password_login(self, password: str) -> None:
        """Let root log in over ssh with `password`."""
        self.run(["chpasswd"], input=f"root:{password}\n")
        self.write("/etc/ssh/sshd_config.d/10-root.conf", "PermitRootLogin yes\nPasswordAuthentication yes\n")
        self.run(["systemctl", "reload-or-restart", "ssh.service"])

    # --- raw bytes --------------------------------------------------------------------------------------------

    def _raw(self, argv: Argv, *, stdin: int | None = None, stdout: object = None) -> None:
        words = enter(self.container.leader, argv)
        done = subprocess.run(  # type: ignore[call-overload]
            words, env=environment(None), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False
        )
        if done.returncode != 0:
            raise LabError(f"{self.name}: {describe(argv)}\n{done.stderr.decode(errors='replace')}")

    def _pipe(self, here: list[str], there: Argv) -> None:
        with subprocess.Popen(here, stdout=subprocess.PIPE) as source:
            if source.stdout is None:
                raise LabError("no pipe")
            self._raw(there, stdin=source.stdout.fileno(), stdout=subprocess.DEVNULL)
        if source.returncode != 0:
            raise LabError(f"exit {source.returncode}: {describe(here)}")
