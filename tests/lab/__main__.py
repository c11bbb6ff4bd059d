"""The lab from a shell: make everything it needs, say where it is, try a host by hand, clean up.

Usage:
    python -m tests.lab build                 make (or find) everything that is cached
    python -m tests.lab packages              the Debian packages that the lab and the tests need on this machine
    python -m tests.lab path NAME             print where NAME is: repository, key, baseline, agents, root, image
    python -m tests.lab link FOLDER           links in FOLDER to repository, RPM-GPG-KEY-lab, baseline.txt, trial.qcow2
    python -m tests.lab shell [COMMAND...]    a fresh host, and a shell or a command in it; with `--carry FOLDER` before
                                              the command, the host finds that folder at /media/stick
    python -m tests.lab clean                 end what killed runs left; remove the cache
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab import image, lab, repository, root, signing
from tests.lab.cache import Cache, progress
from tests.lab.command import enter, environment
from tests.lab.process import LabError

_PACKAGES = Path(__file__).with_name("packages.txt")

PATHS: dict[str, Callable[[Cache], Path]] = {
    "repository": repository.repository,
    "key": lambda cache: repository.repository(cache) / signing.PUBLIC_NAME,
    "baseline": lambda cache: root.root(cache) / root.BASELINE,
    "agents": repository.agent_repositories,
    "root": lambda cache: root.root(cache) / "root",
    "image": image.trial_image,
}


def build(cache: Cache) -> None:
    """Make everything that is cached."""
    for make in PATHS.values():
        make(cache)


LINKS = {"repository": "repository", "RPM-GPG-KEY-lab": "key", "baseline.txt": "baseline", "trial.qcow2": "image"}


def link(cache: Cache, folder: Path) -> None:
    """Make what manifests name by a path of the checkout: links that lead into the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, what in LINKS.items():
        target = folder / name
        target.unlink(missing_ok=True)
        target.symlink_to(PATHS[what](cache))


def shell(cache: Cache, command: list[str], carried: Path | None) -> int:
    """Boot a host, run a command (a login shell by default) on this terminal in it, throw the host away."""
    with lab.Lab.open(cache) as opened:
        host = opened.boot("shell")
        if carried is not None:
            host.put(carried, "/media/stick")
        argv = enter(host.container.leader, command or ["bash", "--login"])
        return subprocess.run(argv, env=environment(None), check=False).returncode


def clean(cache: Cache) -> None:
    """End what killed runs left and remove the cache."""
    lab.clear_leftovers(cache.folder / "runs")
    shutil.rmtree(cache.folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="The lab for end-to-end tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("build", "clean", "packages"):
        commands.add_parser(name)
    commands.add_parser("path").add_argument("name", choices=sorted(PATHS))
    commands.add_parser("link").add_argument("folder", type=Path)
    in_host = commands.add_parser("shell")
    in_host.add_argument("--carry", type=Path, metavar="FOLDER")
    in_host.add_argument("argv", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(arguments)
    cache = Cache()
    if chosen.command == "build":
        build(cache)
    elif chosen.command == "packages":
        print(" ".join(_PACKAGES.read_text().split()))
    elif chosen.command == "path":
        print(PATHS[chosen.name](cache))
    elif chosen.command == "link":
        link(cache, chosen.folder)
    elif chosen.command == "shell":
        return shell(cache, chosen.argv, chosen.carry)
    else:
        clean(cache)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        progress(str(error))
        sys.exit(1)
