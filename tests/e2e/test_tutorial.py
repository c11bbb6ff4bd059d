"""The tutorial, followed word for word: its files are written, its commands run, their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.paths import CHECKOUT

TUTORIAL = CHECKOUT / "docs" / "tutorial.md"
_FENCE = re.compile(r"^```([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIFFER = (
    (re.compile(r"SHA256:[A-Za-z0-9+/]{43}"), "SHA256:KEY"),
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:DIGEST"),
    (re.compile(r"gpg-pubkey-[0-9a-f]{8}-[0-9a-f]{8}"), "gpg-pubkey-ID"),
    (re.compile(r"\d{8}T\d{6}Z"), "STAMP"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\(\d+\.\d s\)"), "(SECONDS)"),
    (re.compile(r"(away.*: +)\d+\.\d s"), r"\1SECONDS"),
    (re.compile(r"\d+\.\d MB"), "SIZE"),
    (re.compile(r"\d+ (wheels|files)"), r"N \1"),
    (re.compile(r"sqlite3-[\w.+~-]+\.x86_64"), "sqlite3-VERSION.x86_64"),
    # whether the clock is kept in time is the machine's; asking for it starts a job, which may still be there
    (re.compile(r"^(warning: )?! (time-sync|systemd-jobs):.*\n    wanted:.*\n    fix:.*\n", re.MULTILINE), ""),
)
"""What differs from run to run, and what stands for it when outputs are compared."""

_PLAIN = {"LC_ALL": "C.UTF-8", "COLUMNS": "", "FORCE_COLOR": "", "TERM": "dumb"}
"""What decides how output looks."""


@dataclass(frozen=True)
class Block:
    """A fenced block. `kind` is its language, `where` the machine, `words` the rest of its first line."""

    kind: str
    where: str
    words: tuple[str, ...]
    text: str
    line: int

    @property
    def is_file(self) -> bool:
        """Something to be saved."""
        return self.kind not in {"sh", "text"}

    @property
    def exit_code(self) -> int:
        """What the commands end with."""
        return int(self.words[0].removeprefix("exit=")) if self.words else 0


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of the tutorial."""
    for found in _FENCE.finditer(text):
        kind, *rest = found[1].split()
        where = rest[0] if rest else ""
        yield Block(kind, where, tuple(rest[1:]), found[2], text.count("\n", 0, found.start()) + 1)


@dataclass
class Reader:
    """Somebody who does what the tutorial says."""

    folder: Path
    host: Host

    def save(self, block: Block) -> None:
        """Write a file."""
        (name,) = block.words
        if block.where == "target":
            self.host.write(f"/root/{name}", block.text)
        else:
            (self.folder / name).write_text(block.text)

    def run(self, block: Block) -> str:
        """Run commands and return their output; the tutorial leaves out the builder's progress, which is on stderr."""
        if block.where == "target":
            done = self.host.run(["bash", "-euc", f"exec 2>&1\n{block.text}"], check=False)
            code, output, errors = done.returncode, done.stdout, ""
        else:
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            plain = subprocess.run(
                ["bash", "-euc", block.text],
                cwd=self.folder,
                env={**os.environ, **_PLAIN, "PATH": path, "SEALIFT": str(CHECKOUT)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            code, output, errors = plain.returncode, plain.stdout, plain.stderr
        assert code == block.exit_code, f"line {block.line}: exit code {code}\n{output}{errors}"
        return output.replace(str(self.folder), "/root/library")


def alike(output: str) -> str:
    """`output` without what differs from run to run."""
    for pattern, word in _DIFFER:
        output = pattern.sub(word, output)
    return output.rstrip()


def follow(lab: Lab, folder: Path, host: Host) -> Iterator[tuple[Block, str, str]]:
    """Do all that the tutorial says; gives each block of commands, its real output, and the one that is shown."""
    reader = Reader(folder, host)
    every = list(blocks(TUTORIAL.read_text()))
    for block, following in zip(every, [*every[1:], None], strict=True):
        if block.is_file:
            reader.save(block)
        if block.where == "lab":
            host.put(folder / "stick", "/media/stick")
        if block.kind == "sh":
            output = reader.run(block)
            shown = following.text if following is not None and following.kind == "text" else ""
            yield block, output, shown


@pytest.fixture(scope="module")
def target(lab: Lab) -> Iterator[Host]:
    """A host as it comes from the lab: nothing of any product is on it."""
    host = lab.boot("library")
    host.run(["systemctl", "is-system-running", "--wait"], check=False)
    yield host
    lab.drop(host)


def test_the_tutorial_does_what_it_says(lab: Lab, target: Host, tmp_path: Path) -> None:
    packages = target.rpm_qa()
    with lab.capture(target) as traffic:
        seen = []
        for block, output, shown in follow(lab, tmp_path, target):
            assert alike(output) == alike(shown), f"line {block.line} of {TUTORIAL.name}: {block.text}"
            seen.append(block.where)
    assert traffic.packets == []
    assert {"builder", "lab", "target"} == set(seen)
    assert target.rpm_qa() == packages
    assert not target.exists("/opt/library")
    assert not target.exists("/usr/local/bin/library-ctl")
    assert not target.exists("/etc/systemd/system/library.service")
    assert target.exists("/var/lib/library/library.db")


def test_the_manifest_stays_short() -> None:
    (manifest,) = [block for block in blocks(TUTORIAL.read_text()) if block.words == ("bundle.toml",)]
    assert len([line for line in manifest.text.splitlines() if line]) <= 32
