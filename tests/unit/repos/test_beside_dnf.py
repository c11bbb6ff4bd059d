"""The solver beside dnf's own, on repositories from dice. SEALIFT_SEEDS says how many questions; more than the default
twenty take 0.2 s each."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from payload import effects
from payload.errors import ResolveError
from repos.baseline import Installed
from repos.closure import resolve_closure
from repos.metadata import Metadata
from repos.nevra import Nevra
from tests.unit.repos.generate import Question, generate
from tests.unit.repos.packages import Spec, build_rpm
from tests.unit.repos.test_closure import load

_SEEDS = int(os.environ.get("SEALIFT_SEEDS", "20"))
_ORACLE = Path(__file__).with_name("dnf_oracle.py")


class Oracle:
    """dnf in a process of its own."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def ask(self, **question: object) -> dict[str, Any]:
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(json.dumps(question) + "\n")
        self._child.stdin.flush()
        return cast(dict[str, Any], json.loads(self._child.stdout.readline()))


@contextmanager
def oracle(home: Path) -> Iterator[Oracle]:
    home.mkdir(parents=True, exist_ok=True)
    # rpm's database where rpm's own default is; Debian's would be in the home itself.
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    env = effects.child_environment({"HOME": str(home)})
    words = ["/usr/bin/python3", str(_ORACLE)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdin is not None
        with child.stdin:
            yield Oracle(child)
    assert child.returncode == 0


def host(root: Path, present: tuple[Spec, ...]) -> Path:
    """An install root whose rpm database has those packages, in the order of their names."""
    for spec in sorted(present, key=lambda spec: Nevra.parse(spec.nevra).key):
        package = build_rpm(spec, root / "built")
        where: list[str | Path] = ["--root", root, "--dbpath", "/var/lib/rpm"]
        effects.run(["rpm", *where, "--justdb", "--nodeps", "--ignorearch", "-i", package])
    return root


def ours(question: Question, metadata: list[Metadata]) -> list[str]:
    baseline = [Installed(Nevra.parse(spec.nevra)) for spec in question.present]
    try:
        closure = resolve_closure(question.wanted, metadata, baseline=baseline)
    except ResolveError:
        return ["no answer"]
    return sorted(str(package.nevra) for package in closure.packages)


def test_the_set_is_dnfs(tmp_path: Path) -> None:
    differ: dict[int, tuple[list[str], list[str]]] = {}
    answered = 0
    with oracle(tmp_path / "home") as dnf:
        for seed in range(_SEEDS):
            question, folder = generate(seed), tmp_path / str(seed)
            metadata = [load(folder, question.base), load(folder, question.updates, "updates")]
            answer = dnf.ask(
                root=str(host(folder / "root", question.present)),
                cache=str(folder / "cache"),
                repositories={one.upstream.id: one.where.removeprefix("file://") for one in metadata},
                wanted=question.wanted,
            )
            theirs = answer.get("install", ["no answer"])
            answered += "install" in answer
            if (mine := ours(question, metadata)) != theirs:
                differ[seed] = (mine, theirs)
    assert differ == {}
    assert answered > _SEEDS / 2
