"""What is looked at for a support archive: files of the install, and what commands of the host say.

Nothing here needs a readable state file or a running server: what cannot be had is said, and the rest goes on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installer.layout import Layout
from installer.steps import Runner
from payload.errors import CommandError

LARGEST = 1 << 20
"""Bytes of one item; of a longer file the end is taken, since that is where the trouble is."""
_NEWEST_LOGS = 30
_LONGEST_SECRET = 4096
_TIMEOUT = 30.0
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("uname", "-a"),
    ("cat", "/etc/os-release"),
    ("uptime",),
    ("timedatectl",),
    ("free", "-m"),
    ("df", "-hT"),
    ("df", "-i"),
    ("findmnt", "--all"),
    # No arguments: other people's command lines hold passwords.
    ("ps", "-e", "-o", "pid,ppid,user,etime,rss,stat,comm"),
    ("ss", "-ltnp"),
    ("ip", "-brief", "address"),
    ("systemctl", "--failed", "--no-pager"),
    ("rpm", "-qa", "--last"),
    ("getenforce",),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One text for the archive: its path there, and the text, or `missing`: why there is none."""

    path: str
    text: str = ""
    missing: str = ""
    cut: bool = False
    """Only the end is here."""


def known_secrets(layout: Layout) -> tuple[str, ...]:
    """The secrets that this install wrote down: one-line files of its configuration that only their owner may read."""
    return tuple(
        text
        for path in _files(layout.config_dir)
        if _is_secret(path) and (text := path.read_text(encoding="utf-8", errors="replace").strip())
    )


def gather(layout: Layout, run: Runner) -> Iterator[Item]:
    """Every item, one after the other."""
    for folder, name in ((layout.config_dir, "config"), (layout.state_dir, "installer")):
        for path in _files(folder):
            if not _is_secret(path) and not {"backup", "keys"} & set(path.relative_to(folder).parts):
                yield _file(path, f"{name}/{path.relative_to(folder)}")
    logs = sorted(_files(layout.log_dir), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in logs[:_NEWEST_LOGS]:
        yield _file(path, f"logs/{path.relative_to(layout.log_dir)}")
    yield Item("layout.txt", "\n".join(_listing(layout)) + "\n")
    for argv in _COMMANDS:
        yield _command(argv, f"host/{'-'.join(word.strip('-/').replace('/', '-') for word in argv[:2])}.txt", run)
    for unit in _units(layout):
        yield _file(unit, f"units/{unit.name}")
        yield _command(("systemctl", "status", "--no-pager", "--full", unit.name), f"units/{unit.name}.status.txt", run)
        journal = ("journalctl", "--no-pager", "--lines", "5000", "--output", "short-iso", "--unit", unit.name)
        yield _command(journal, f"units/{unit.name}.journal.txt", run)


def _units(layout: Layout) -> list[Path]:
    return sorted(path for path in layout.units_dir.glob(f"{layout.product}*.service") if path.is_file())


def _files(folder: Path) -> list[Path]:
    """Regular files below `folder`; links are not followed."""
    found = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    return sorted(path for path in found if stat.S_ISREG(path.lstat().st_mode))


def _is_secret(path: Path) -> bool:
    info = path.lstat()
    if info.st_mode & 0o077 or not 0 < info.st_size <= _LONGEST_SECRET:
        return False
    return len(path.read_bytes().strip().splitlines()) == 1


def _file(path: Path, name: str) -> Item:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LARGEST))
            content = file.read(LARGEST)
    except OSError as error:
        return Item(name, missing=f"{path}: {error.strerror}")
    if b"\0" in content:
        return Item(name, missing=f"{path} is no text; {size} bytes")
    return Item(name, content.decode("utf-8", "replace"), cut=size > LARGEST)


def _command(argv: tuple[str, ...], name: str, run: Runner) -> Item:
    try:
        done = run(argv, check=False, timeout=_TIMEOUT)
    except CommandError as error:
        return Item(name, missing=error.brief)
    text = f"$ {' '.join(argv)}\n{done.output}{done.errors}"
    return Item(name, text[-LARGEST:], cut=len(text) > LARGEST)


def _listing(layout: Layout) -> Iterator[str]:
    """Modes, owners, sizes and names of what belongs to the install; of releases only their folders."""
    for top, depth in ((layout.prefix, 3), (layout.config_dir, 3), (layout.data_dir, 3), (layout.log_dir, 2)):
        yield from _tree(top, depth)


def _tree(path: Path, depth: int) -> Iterator[str]:
    try:
        info = path.lstat()
    except OSError as error:
        yield f"{path}: {error.strerror}"
        return
    target = f" -> {path.readlink()}" if stat.S_ISLNK(info.st_mode) else ""
    yield f"{stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid} {info.st_size:>12} {path}{target}"
    if stat.S_ISDIR(info.st_mode) and depth:
        for inside in sorted(path.iterdir()):
            yield from _tree(inside, depth - 1)
