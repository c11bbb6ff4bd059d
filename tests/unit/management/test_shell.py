"""The real shell against the real server: one-shot, interactive, exit codes, what it keeps."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from management.cli.client import Client
from management.cli.commands import Commands
from management.cli.session import SessionFile
from management.cli.shell import Completer

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
    logged_in.shell(stdin="LogInByAccount accountName=admin password='some secret'\n")
    state = logged_in.home / ".sealift" / "cli"
    for file in state.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        assert "some secret" not in file.read_text()
    assert "password=******" in (state / "command_history").read_text()


def test_interactive_on_a_terminal(logged_in: Any) -> None:
    controller, terminal = pty.openpty()
    argv = [sys.executable, "-P", "-m", "management.cli", "-p", str(logged_in.port)]
    environment = {**logged_in.environment(), "TERM": "dumb"}
    with subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, cwd="/") as shell:
        os.close(terminal)
        os.write(controller, b"GetVersion\nReconnectHost uuid=x\nQueryImage 'unclosed\nquit\n")
        said = b""
        while chunk := _read(controller):
            said += chunk
        assert shell.wait(10) == 0
    os.close(controller)
    text = said.decode().replace("\r\n", "\n")
    assert ">>>" in text
    assert '{\n    "success": true,\n    "version": "1.1.0"\n}\n\n' in text
    assert "\x1b[91morg.zstack.header.message.APIEvent failed: [code: SYS.1003" in text
    assert "cannot be split" in text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side of the terminal is closed
        return b""


def test_completion(server: Any, tmp_path: Path) -> None:
    complete = Completer(Commands(Client("127.0.0.1", server.port), SessionFile(tmp_path / "s"))).matches
    assert complete("", "consoleproxy") == ["QueryConsoleProxyAgent ", "ReconnectConsoleProxyAgent "]
    assert complete("AddKVMHost ", "ma") == ["managementIp="]
    assert complete("QueryHost ", "st") == ["start=", "state=", "status="]
    assert complete("QueryHost fields=uuid,", "na") == ["name"]
    assert complete("Nothing ", "x") == []


def test_help_teaches(server: Any) -> None:
    text = server.shell("--help").stdout
    for taught in ("LogInByAccount", "password-file=", "name?=a,b", "Exit codes"):
        assert taught in text
