"""Running one command: look the verb up, complete what must not be typed, send, keep the session."""

import getpass
import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from management.cli.catalogue import Catalogue, Verb
from management.cli.errors import CliError
from management.cli.grammar import Call, parse
from management.cli.output import as_json
from management.cli.session import SessionFile
from management.client.connection import Connection

LOG_IN, LOG_OUT = "LogInByAccount", "LogOut"
# The server gets sha512 of these verbs' passwords; other passwords (a host's) it needs as they are.
HASHED = (LOG_IN, "CreateAccount", "UpdateAccount")
PASSWORD_FILE = "password-file="  # noqa: S105


class Commands:
    """Commands for one server and one user."""

    def __init__(
        self, connection: Connection, sessions: SessionFile, output: Callable[[dict[str, Any]], str] = as_json
    ) -> None:
        self._connection = connection
        self._sessions = sessions
        self._output = output

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.of(self._connection.catalogue())

    def run(self, words: Sequence[str]) -> str:
        """Do one command and return what it prints.

        Raises:
            CliError, ClientError, ApiFailure: see there.
        """
        verb = self.catalogue.verbs.get(words[0])
        if verb is None:
            raise CliError(f'"API{words[0]}Msg" is not an API message of this server; `help` lists them')
        self._connection.session = self._sessions.load(self._connection.url)
        if verb.needs_session and self._connection.session is None:
            raise CliError(f"log in first, for example:\n>>>{LOG_IN} accountName=admin")
        call = _with_password(verb, words[1:])
        answer = self._connection.call(verb.message, call.fields)
        if verb.name == LOG_IN:
            self._sessions.save(self._connection.url, answer["inventory"]["uuid"])
        if verb.name == LOG_OUT:
            self._sessions.save(self._connection.url, None)
        return self._output(answer)

    def overview(self) -> str:
        """Every verb with its parameters."""
        lines = []
        for verb in sorted(self.catalogue.verbs.values(), key=lambda v: v.name):
            needed = [f"{name}=" for name, p in verb.parameters.items() if p["required"]]
            parameters = "[field=value ...]" if verb.inventory is not None else " ".join(needed)
            lines.append(f"  {verb.name} {parameters}".rstrip())
        return "\n".join(lines)


def _with_password(verb: Verb, words: Sequence[str]) -> Call:
    files = [word.removeprefix(PASSWORD_FILE) for word in words if word.startswith(PASSWORD_FILE)]
    call = parse(verb, [word for word in words if not word.startswith(PASSWORD_FILE)])
    if "password" not in verb.parameters:
        return call
    password = call.fields.get("password")
    if password is None and not files and not verb.parameters["password"]["required"]:
        return call
    if password is None:
        password = _from_file(files[-1]) if files else _ask(verb)
    if verb.name in HASHED:
        password = hashlib.sha512(password.encode()).hexdigest()
    return Call(verb, {**call.fields, "password": password})


def _from_file(name: str) -> str:
    try:
        return (Path(name).read_text(encoding="utf-8").splitlines() or [""])[0]
    except OSError as error:
        raise CliError(f"{name}: {error.strerror}") from error


def _ask(verb: Verb) -> str:
    """From the terminal without echo, or one line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"Password for {verb.name}: ")
    return sys.stdin.readline().rstrip("\r\n")
