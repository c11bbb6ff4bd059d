"""The lab of one test run: a network of its own, the hosts on it, and the promise that nothing stays behind."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.lab import cgroups
from tests.lab import root as roots
from tests.lab.cache import Cache, locked
from tests.lab.capture import Traffic, capture
from tests.lab.command import environment, run_on_terminal, run_plain
from tests.lab.container import Placement
from tests.lab.hosts import Host
from tests.lab.namespaces import NSENTER, inside, socket_in
from tests.lab.network import CONTROLLER, Network
from tests.lab.process import Argv, Completed, LabError, describe
from tests.lab.site import Site
from tests.lab.storage import Snapshot, Storage

_FIRST_HOST, _FIRST_SITE = 10, 200
# held while a run's lock is made or tried, so that nobody takes a run that is just starting for a dead one
_GUARD = ".guard"


class Lab:
    """Boots hosts, serves files to them, watches what they send. Made by `Lab.open`."""

    def __init__(self, root: Path, folder: Path, run_id: str) -> None:
        self._root = root
        self._folder = folder
        self._run_id = run_id
        self._hosts: list[Host] = []
        self._sites: list[Site] = []
        self._numbers = itertools.count()
        self._network = Network(run_id)

    @classmethod
    @contextmanager
    def open(cls, cache: Cache | None = None) -> Iterator[Lab]:
        """A lab for the time of a `with`; makes what the cache lacks and clears what killed runs left."""
        cache = cache or Cache()
        root = roots.root(cache) / "root"
        runs = cache.folder / "runs"
        clear_leftovers(runs)
        with _run_folder(runs) as (folder, run_id):
            try:
                lab = cls(root, folder, run_id)
                try:
                    yield lab
                finally:
                    lab._close()
            finally:
                _clear(folder, run_id)

    @property
    def controller(self) -> str:
        """The address of this machine on the lab's network."""
        return CONTROLLER

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(self._hosts)

    def boot(
        self,
        name: str,
        *,
        ip: str | None = None,
        root_password: str | None = None,
        upper_size: str | None = None,
        snapshot: Snapshot | None = None,
    ) -> Host:
        """A host that is up.

        Args:
            ip: its address in 10.77.0.0/24; the next free one by default.
            root_password: root may log in over ssh with it; without one, only by key.
            upper_size: all that the host may write ("600M"); a full disk is real then.
            snapshot: start from these changes instead of the bare root.

        Raises:
            LabError: the name or the address is taken, or the host did not come up.
        """
        host, storage = self._place(name, ip, upper_size)
        storage.create(name)
        if snapshot is not None:
            storage.load(snapshot)
        host.boot()
        if root_password is not None:
            host.allow_password_login(root_password)
        return host

    def boot_all(self, *names: str, root_password: str | None = None) -> list[Host]:
        """Several hosts at once, in the order of their names."""
        with ThreadPoolExecutor(len(names)) as pool:
            futures = [pool.submit(self.boot, name, root_password=root_password) for name in names]
            return [future.result() for future in futures]

    def drop(self, host: Host) -> None:
        """End a host and forget its storage, before the lab ends."""
        host.power_cut()
        self._hosts.remove(host)
        shutil.rmtree(self._folder / host.name)

    def capture(self, host: Host, *, allow: Sequence[Host | str] = ()) -> AbstractContextManager[Traffic]:
        """Record every packet that leaves `host` for anybody but the allowed peers.

        Meanwhile the host has a default route and a name server, both at an address where nobody answers.
        """
        peers = frozenset(peer.address if isinstance(peer, Host) else peer for peer in allow)
        return capture(self._network, host, peers)

    @contextmanager
    def serve(
        self, folder: Path, *, names: Sequence[str] = (), hosts: Sequence[Host] = (), rate: int | None = None
    ) -> Iterator[Site]:
        """Serve a folder over HTTP at an address of its own; `names` lead there in /etc/hosts of `hosts`. `rate` slows
        metadata of repositories down to so many bytes a second."""
        forget = 'grep -v "^$1 " /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts; rm /tmp/hosts'
        site = Site(self._network, folder, f"10.77.0.{_FIRST_SITE + len(self._sites)}", rate)
        self._sites.append(site)
        try:
            line = f"{site.address} {' '.join(names)}"
            for host in hosts if names else ():
                host.run(["sh", "-c", 'echo "$1" >>/etc/hosts', "name", line])
            yield site
        finally:
            site.close()
            for host in hosts:
                if host.running:
                    host.run(["sh", "-c", forget, "forget", site.address])

    def run(
        self, argv: Argv, *, check: bool = True, input: str | None = None, timeout: float = 300, tty: bool = False
    ) -> Completed:
        """Run a program of this machine on the lab's network (ssh, curl, ansible).

        Raises:
            LabError: it failed and `check` is true, or it takes longer than `timeout`.
        """
        words = [NSENTER, "-t", str(self._network.pid), "-n", "--", *map(str, argv)]
        runner = run_on_terminal if tty else run_plain
        done = runner(words, {**os.environ, **environment(None), "PATH": os.environ["PATH"]}, input, timeout)
        if check and done.returncode != 0:
            raise LabError(f"exit {done.returncode}: {describe(argv)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def inside(self) -> AbstractContextManager[None]:
        """For the time of a `with`, this thread and the programs that it starts are on the lab's network."""
        return inside(self._network.pid)

    def connect(self, host: Host, port: int, timeout: float = 10) -> socket.socket:
        """A TCP connection from this machine to a host."""
        return socket_in(self._network.pid, lambda: socket.create_connection((host.address, port), timeout=timeout))

    def _place(self, name: str, ip: str | None, size: str | None) -> tuple[Host, Storage]:
        number = next(self._numbers)
        with contextlib.suppress(FileExistsError):
            (self._folder / name).mkdir()
            address = ip or f"10.77.0.{_FIRST_HOST + number}"
            if address in {host.address for host in self._hosts}:
                raise LabError(f"{address} is taken")
            storage = Storage(self._folder / name, size)
            placement = Placement(self._run_id, name, number, address, self._root, storage, self._network)
            self._hosts.append(Host(placement))
            return self._hosts[-1], storage
        raise LabError(f"there is a host {name} already")

    def _close(self) -> None:
        for host in self._hosts:
            host.power_cut()
        self._network.close()


@contextmanager
def _run_folder(runs: Path) -> Iterator[tuple[Path, str]]:
    """A folder for this run, locked as long as this process lives."""
    run_id = f"{os.getpid()}-{secrets.token_hex(3)}"
    folder = runs / run_id
    with contextlib.ExitStack() as stack:
        with locked(runs / _GUARD):
            lock = stack.enter_context(_lock_file(folder).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir()
        yield folder, run_id


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def clear_leftovers(runs: Path) -> list[str]:
    """End and remove what runs that were killed left behind; returns their ids.

    A run's lock goes away with its process, however it died; its processes are those in its own cgroups.
    """
    cleared = []
    with locked(runs / _GUARD):
        for path in runs.glob("*.lock"):
            with contextlib.suppress(BlockingIOError, FileNotFoundError), path.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clear(path.with_suffix(""), path.stem)
                cleared.append(path.stem)
    return cleared


def _clear(folder: Path, run_id: str) -> None:
    cgroups.kill(run_id)
    shutil.rmtree(folder, ignore_errors=True)
    _lock_file(folder).unlink(missing_ok=True)
