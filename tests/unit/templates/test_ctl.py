"""The control command's script: it starts the runtime, and an uninstall survives the removal of its own files."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from templates.contexts import CtlContext
from templates.render import render

_PROGRAM = """#!/bin/sh
printf '<%s>' "$@"; echo
[ "$3" = uninstall ] && [ "$4" != --help ] && rm -rf {release} {prefix}/current
cat "$(dirname "$0")/needed-late"
exit 30
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A prefix with a blank in its name; the program's runtime removes the release, then needs a file of its own."""
    prefix = tmp_path / "my place"
    release = prefix / "releases" / "1.0"
    runtime = release / "runtime"
    runtime.mkdir(parents=True)
    (prefix / "current").symlink_to("releases/1.0")
    program = runtime / "sealift-runtime"
    program.write_text(_PROGRAM.format(release=shlex.quote(str(prefix / "releases")), prefix=shlex.quote(str(prefix))))
    program.chmod(0o755)
    (runtime / "needed-late").write_text("still there\n")
    return prefix


def script(prefix: Path) -> str:
    context = CtlContext("demo", shlex.quote(str(prefix / "current/runtime")), shlex.quote(str(prefix)))
    return render("ctl/ctl.sh.j2", context)


def call(prefix: Path, *words: str) -> subprocess.CompletedProcess[str]:
    ctl = prefix.parent / "demo-ctl"
    ctl.write_text(script(prefix))
    return subprocess.run(["sh", ctl, *words], capture_output=True, text=True, check=False)


def test_words_and_exit_code_pass_through(prefix: Path) -> None:
    done = call(prefix, "rollback", "--to", "1 0", "")
    assert (done.stdout, done.returncode) == ("<--product><demo><rollback><--to><1 0><>\nstill there\n", 30)


def test_an_uninstall_still_has_its_files_and_leaves_nothing(prefix: Path) -> None:
    done = call(prefix, "uninstall", "-y")
    assert (done.stdout, done.stderr, done.returncode) == ("<--product><demo><uninstall><-y>\nstill there\n", "", 30)
    assert not prefix.exists()


def test_what_else_lies_in_the_prefix_stays(prefix: Path) -> None:
    (prefix / "mine").touch()
    call(prefix, "uninstall", "-y")
    assert list(prefix.iterdir()) == [prefix / "mine"]


def test_an_uninstall_that_does_nothing_changes_nothing(prefix: Path) -> None:
    before = sorted(prefix.rglob("*"))
    assert call(prefix, "uninstall", "--help").returncode == 30
    assert sorted(prefix.rglob("*")) == before


def test_shellcheck(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "ctl.sh").write_text(script(prefix))
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "-s", "sh", "-S", "style", tmp_path / "ctl.sh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
