"""The real shell against the real server: one-shot, interactive, exit codes, what it keeps."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from management.cli.catalogue import Catalogue
from management.cli.completion import candidates
from management.client.connection import Connection, Server
from tests.unit.management.patience import PATIENCE

PASSWORD = "correct horse 'battery\""


@pytest.fixture
def logged_in(server: Any) -> Iterator[Any]:
    done = server.shell("LogInByAccount", "accountName=admin", stdin=PASSWORD + "\n")
    assert done.returncode == 0, done.stderr
    yield server
    server.shell("LogOut")


def test_answers_are_sorted_and_end_with_an_empty_line(logged_in: Any) -> None:
    done = logged_in.shell("QueryConsoleProxyAgent", "fields=uuid, type", "state=enabled")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert done.stdout == json.dumps(answer, sort_keys=True, indent=4) + "\n\n"
    (row,) = answer["inventories"]
    assert row == {"type": "ManagementServerConsoleProxy", "uuid": row["uuid"]}
    assert list(answer) == ["inventories", "success"]


def test_words_are_not_joined_again(logged_in: Any) -> None:
    done = logged_in.shell("QueryImage", "name=a b' c\"", "limit=1")
    assert (done.returncode, json.loads(done.stdout)["inventories"]) == (0, [])


def test_exit_codes(logged_in: Any) -> None:
    failed = logged_in.shell("ReconnectHost", f"uuid={'0' * 32}")
    assert (failed.returncode, failed.stdout) == (3, "")
    assert "SYS.1003" in failed.stderr
    assert "\x1b" not in failed.stderr
    assert logged_in.shell("NoSuchVerb").returncode == 1
    assert logged_in.shell("QueryHost", "nonsense").returncode == 1


def test_without_a_session(server: Any) -> None:
    done = server.shell("QueryHost")
    assert done.returncode == 1
    assert ">>>LogInByAccount accountName=admin" in done.stderr


def test_no_server(server: Any) -> None:
    done = server.shell("-p", "1", "QueryHost")
    assert done.returncode == 1
    assert "http://127.0.0.1:1/zstack/api" in done.stderr


def test_a_password_file(server: Any, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    assert server.shell("LogInByAccount", "accountName=admin", f"password-file={file}").returncode == 0
    assert server.shell("LogInByAccount", "accountName=admin", "password-file=/nonexistent").returncode == 1


def test_what_is_kept_is_private(logged_in: Any) -> None:
    with terminal(logged_in) as shell:
        shell.type("LogInByAccount accountName=admin password='some secret'\n", "ID.1000")
    state = logged_in.home / ".sealift" / "cli"
    assert {file.name for file in state.iterdir()} == {"command_history", "session"}
    for file in state.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        assert "some secret" not in file.read_text()
    assert "password=******" in (state / "command_history").read_text()


def test_commands_on_standard_input(logged_in: Any) -> None:
    lines = ("# a comment", "", ">>>GetVersion", "ReconnectHost uuid=x", "NoSuchVerb", "QueryImage 'unclosed")
    done = logged_in.shell(stdin="\n".join([*lines, "GetVersion", "quit", "GetVersion\n"]))
    assert done.returncode == 3, "the first that failed was refused by the server"
    assert done.stdout == '{\n    "success": true,\n    "version": "1.1.0"\n}\n\n' * 2
    assert [text in done.stderr for text in ("SYS.1003", "NoSuchVerb", "cannot be split")] == [True] * 3
    assert "\x1b" not in done.stderr


@dataclass
class Terminal:
    """The shell on a terminal of its own."""

    controller: int
    said: str = ""

    def type(self, keys: str, until: str) -> str:
        """Type, and wait until the shell has answered with `until`; returns everything since the last time."""
        os.write(self.controller, keys.encode())
        self.said, deadline = "", time.monotonic() + PATIENCE
        while until not in self.said:
            assert select.select([self.controller], [], [], deadline - time.monotonic())[0], self.said
            self.said += os.read(self.controller, 4096).decode().replace("\r\n", "\n")
        return self.said


@contextmanager
def terminal(server: Any, kind: str = "dumb") -> Iterator[Terminal]:
    controller, other = pty.openpty()
    argv = [sys.executable, "-P", "-m", "management.cli", "-p", str(server.port)]
    # PROMPT_TOOLKIT_NO_CPR: nobody answers where the cursor is.
    environment = {**server.environment(), "TERM": kind, "PROMPT_TOOLKIT_NO_CPR": "1"}
    with subprocess.Popen(argv, stdin=other, stdout=other, stderr=other, env=environment, cwd="/") as shell:
        os.close(other)
        found = Terminal(controller)
        found.type("", ">>>")
        try:
            yield found
            os.write(controller, b"quit\n")
            assert shell.wait(PATIENCE) == 0
        finally:
            shell.kill()
    os.close(controller)


def test_interactive_on_a_terminal(logged_in: Any) -> None:
    with terminal(logged_in) as shell:
        assert '{\n    "success": true,\n    "version": "1.1.0"\n}\n\n' in shell.type("GetVersion\n", "}\n\n>>>")
        shell.type("ReconnectHost uuid=x\n", "\x1b[91morg.zstack.header.message.APIEvent failed: [code: SYS.1003")
        shell.type("QueryImage 'unclosed\n", "cannot be split")
        shell.type("history\n", "ReconnectHost uuid=x\n")


def test_tab_completes_and_control_c_drops_the_line(logged_in: Any) -> None:
    with terminal(logged_in, "xterm") as shell:
        shell.type("GetVers\t\n", '"version"')
        shell.type("QueryHost nothing\x03", ">>>")
        shell.type("QueryManagementNode hostN\tnobody\n", '"inventories": []')


def test_completion(server: Any) -> None:
    with Connection(Server("127.0.0.1", server.port)) as connection:
        catalogue = Catalogue.of(connection.catalogue())

    def complete(before: str, text: str) -> list[str]:
        return candidates(catalogue, before, text)

    assert complete("", "consoleproxy") == ["QueryConsoleProxyAgent ", "ReconnectConsoleProxyAgent "]
    assert complete("", "qui") == ["quit "]
    assert complete("AddKVMHost ", "ma") == ["managementIp="]
    assert complete("QueryHost ", "__") == ["__systemTag__=", "__userTag__="]
    assert complete("QueryHost ", "st") == ["start=", "state=", "status="]
    assert complete("QueryHost ", "cl") == ["cluster.", "clusterUuid="]
    assert complete("QueryVmInstance ", "host.zone.na") == ["host.zone.name="]
    assert complete("QueryVmInstance ", "vmNics.l3Network.dn") == [
        "vmNics.l3Network.dns=",
        "vmNics.l3Network.dnsDomain=",
    ]
    assert complete("QueryHost ", "nothing.na") == []
    assert complete("QueryHost fields=uuid,", "na") == ["name"]
    assert complete("QueryHost ", "sortBy=na") == ["sortBy=name"]
    assert complete("Nothing ", "x") == []


def test_help_teaches(server: Any) -> None:
    text = server.shell("--help").stdout
    for taught in ("LogInByAccount", "password-file=", "name?=a,b", "Exit codes"):
        assert taught in text
