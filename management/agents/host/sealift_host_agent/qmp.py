"""Talking to a running QEMU: its machine protocol (QMP), one JSON object a line."""

import json
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .calls import CallError, left

Event = dict[str, Any]


class QmpError(CallError):
    """QEMU says that it does not do it."""


class Qmp:
    """One conversation. Events that come meanwhile are kept until somebody waits for them."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lines = link.makefile("rb")
        self._events: list[Event] = []
        self._name, self._said = secrets.token_hex(8), 0
        self._read()
        self.do("qmp_capabilities")

    def do(self, command: str, **arguments: Any) -> Any:
        """The answer to a command; `_` in the names of its arguments stands for `-`.

        Raises:
            QmpError: QEMU refuses it.
            CallError: QEMU has ended, or the time is over.
        """
        self._link.settimeout(left())
        this = self.tell(command, **arguments)
        while True:
            said = self._read()
            if "event" in said:
                self._events.append(said)
            elif said.get("id") != this:
                # QEMU tells whoever talks to it then what it was asked in a conversation that was given up.
                continue
            elif "error" in said:
                raise QmpError(f"{command}: {said['error'].get('desc')}")
            else:
                return said["return"]

    def tell(self, command: str, **arguments: Any) -> str:
        """Say a command without waiting for the answer; its name, which the answer has.

        Raises:
            CallError: QEMU has ended.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._said += 1
        this = f"{self._name}-{self._said}"
        try:
            self._link.sendall(json.dumps({"execute": command, "arguments": named, "id": this}).encode() + b"\n")
        except OSError as error:
            raise CallError(f"QEMU does not take {command}: {error}") from error
        return this

    def wait(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event that is wanted.

        Raises:
            CallError: QEMU has ended, or the time is over.
        """
        while True:
            for event in self._events:
                if wanted(event):
                    self._events.remove(event)
                    return event
            said = self._read()
            if "event" in said:
                self._events.append(said)

    def close(self) -> None:
        self._lines.close()
        self._link.close()

    def _read(self) -> dict[str, Any]:
        self._link.settimeout(left())
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise CallError("QEMU was not ready in the time of this call") from error
        except OSError as error:
            raise CallError(f"QEMU is gone: {error}") from error
        if not line:
            raise CallError("QEMU has ended")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def talking(path: Path) -> Iterator[Qmp]:
    """A conversation with the QEMU that listens at `path`. It has one at a time.

    Raises:
        CallError: none listens there.
    """
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(left())
        try:
            link.connect(str(path))
        except OSError as error:
            raise CallError(f"the VM does not answer: {error}") from error
        talk = Qmp(link)
        try:
            yield talk
        finally:
            talk.close()
