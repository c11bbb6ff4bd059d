"""Linters and types, as tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from templates.contexts import StubContext
from templates.render import render
from tests.paths import CHECKOUT, PACKAGES

BIN = Path(sys.executable).parent


def passes(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff(arguments: tuple[str, ...]) -> None:
    passes(BIN / "ruff", *arguments, ".")


@pytest.mark.timeout(3600)  # without a cache, and beside other tests
def test_mypy_strict() -> None:
    passes(BIN / "mypy", *PACKAGES, "tests")


def test_shellcheck_of_every_script() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()
    kept = (name for name in files if (CHECKOUT / name).is_file() and not name.endswith((".j2", ".bin")))
    scripts = [name for name in kept if is_shell(CHECKOUT / name)]
    assert ".ci/run" in scripts
    passes(BIN / "shellcheck", "-x", *scripts)


def test_shellcheck_of_the_stub(tmp_path: Path) -> None:
    stub = tmp_path / "stub.sh"
    stub.write_text(
        render("stub/header.sh.j2", StubContext("p", "T", "1", "p.bin", "x86_64", 32768, 1, "0" * 64, 1, 17))
    )
    passes(BIN / "shellcheck", "-s", "sh", "-S", "style", stub)


def is_shell(path: Path) -> bool:
    """Whether the first line names a shell."""
    with path.open("rb") as file:
        return file.readline(200).strip() in (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash")
