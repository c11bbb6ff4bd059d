"""What bash completes `NAME-ctl` by knows every command and option, and real bash takes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from installer.control_cli import control_app
from templates.contexts import CompletionContext
from templates.render import render

COMMANDS: dict[str, Any] = vars(typer.main.get_command(control_app("shop")))["commands"]
HIDDEN = {"serve-repository"}
"""Commands that only units call."""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    releases = tmp_path / "releases"
    for version in ("1.0.0", "1.1.0"):
        (releases / version).mkdir(parents=True)
    path = tmp_path / "completion"
    path.write_text(render("ctl/completion.bash.j2", CompletionContext("my-shop", "my_shop_ctl", str(releases))))
    return path


def completed(script: Path, *words: str) -> set[str]:
    """What a Tab after these words offers; the last one is what was typed of the next."""
    code = (
        'set -eu; . "$1"; shift; COMP_WORDS=(my-shop-ctl "$@"); COMP_CWORD=$#; COMPREPLY=(); _my_shop_ctl; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code, "bash", script, *words], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_every_command_is_offered(script: Path) -> None:
    assert completed(script, "") == {*COMMANDS, "--help"} - HIDDEN
    assert completed(script, "re") == {"releases", "resume", "restore"}


@pytest.mark.parametrize("name", sorted({*COMMANDS} - HIDDEN))
def test_every_option_is_offered(script: Path, name: str) -> None:
    long = {option for param in COMMANDS[name].params for option in param.opts if option.startswith("--")}
    assert completed(script, name, "--") == {*long, "--help"}


def test_releases_are_offered_to_go_back_to(script: Path) -> None:
    assert completed(script, "rollback", "--to", "") == {"1.0.0", "1.1.0"}
    assert completed(script, "rollback", "--to", "1.1") == {"1.1.0"}


@pytest.mark.parametrize("words", [("backup", ""), ("restore", "/root/b"), ("collect", "--output", "")])
def test_files_are_left_to_bash(script: Path, words: tuple[str, ...]) -> None:
    assert completed(script, *words) == set()


def test_shellcheck(script: Path) -> None:
    subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "-s", "bash", "-S", "style", script], check=True, timeout=60
    )
