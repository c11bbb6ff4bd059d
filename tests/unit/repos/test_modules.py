"""Module streams: what is active, what that hides; the same as dnf says."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from payload.errors import IntegrityError, ResolveError
from repos.closure import resolve_closure
from repos.considered import Policy
from repos.modules import module_filter, parse_modules
from tests.unit.repos.packages import Spec, write_repository
from tests.unit.repos.test_beside_dnf import host, oracle
from tests.unit.repos.test_closure import load

PACKAGES = (
    Spec("node", "30", arch="x86_64"),  # not modular, and newer: shadowed by any active stream
    Spec("node-other", "9", provides=("node = 40",)),  # not modular, provides what the stream has
    Spec("node", "18", arch="x86_64", requires=("node-libs",)),
    Spec("node-libs", "18", arch="x86_64"),
    Spec("node", "20", arch="x86_64", requires=("node-libs",)),
    Spec("node-libs", "20", arch="x86_64"),
    Spec("web", "1", requires=("node",)),
    Spec("base", "1"),
    Spec("web", "2", requires=("node >= 20", "base")),
)


def stream(name: str, stream: str, artifacts: Sequence[Spec], requires: str = "") -> str:
    rpms = "".join(f"\n      - {spec.nevra}" for spec in artifacts)
    more = f"\n        {requires}" if requires else ""
    return f"""---
document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: 1
  context: c0ffee00
  arch: x86_64
  summary: For tests
  description: >-
    For tests.
  license:
    module: [MIT]
  dependencies:
    - requires:
        platform: [el9]{more}
  artifacts:
    rpms:{rpms}
...
"""


def default(name: str, stream: str) -> str:
    head = "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n"
    return f'{head}  module: {name}\n  stream: "{stream}"\n  profiles: {{}}\n...\n'


MODULES = (
    stream("node", "18", PACKAGES[2:4])
    + stream("node", "20", PACKAGES[4:6])
    + stream("web", "new", PACKAGES[8:], 'node: ["20"]')
    + default("node", "18")
)


@pytest.mark.parametrize(
    ("wanted", "enabled"),
    [
        (["node"], []),
        (["node"], ["node:20"]),
        (["web"], []),
        (["web"], ["web:new", "node:20"]),
        (["base"], ["node:20"]),
        (["node", "web"], ["node:18"]),
    ],
)
def test_the_set_is_dnfs(tmp_path: Path, wanted: list[str], enabled: list[str]) -> None:
    write_repository(tmp_path / "base", PACKAGES, modules=MODULES)
    metadata = load(tmp_path, PACKAGES, written=True)
    closure = resolve_closure(wanted, [metadata], policy=Policy(modules=tuple(enabled)))
    with oracle(tmp_path / "home") as dnf:
        answer = dnf.ask(
            root=str(host(tmp_path / "root", ())),
            cache=str(tmp_path / "cache"),
            repositories={"base": str(tmp_path / "base")},
            wanted=wanted,
            modules=enabled,
        )
    assert sorted(str(package.nevra) for package in closure.packages) == answer["install"]


def test_a_stream_that_nobody_has(tmp_path: Path) -> None:
    write_repository(tmp_path / "base", PACKAGES, modules=MODULES)
    metadata = load(tmp_path, PACKAGES, written=True)
    with pytest.raises(ResolveError, match="node:21"):
        resolve_closure(["node"], [metadata], policy=Policy(modules=("node:21",)))
    with pytest.raises(ResolveError) as caught:
        resolve_closure(["web"], [metadata], policy=Policy(modules=("web:new", "node:18")))
    assert caught.value.code == "module-conflict"


def test_what_a_stream_requires_is_active_too() -> None:
    modules = stream("a", "1", [Spec("a", "1")], 'b: ["2"]') + stream("b", "2", [Spec("b", "2")])
    document = parse_modules(io.BytesIO((modules + stream("b", "3", [Spec("b", "3")])).encode()), where="here")
    found = module_filter([document], ["a:1"])
    assert {nevra.short for nevra in found.shown} == {"a-1-1.noarch", "b-2-1.noarch"}
    assert {nevra.short for nevra in found.hidden} == {"b-3-1.noarch"}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "- a",
        "document: modulemd\ndata: {}",
        "document: modulemd\ndata: {name: a, stream: 1, artifacts: {rpms: [x]}}",
        "!!python/object/apply:os.system [true]",
    ],
)
def test_hostile_modules(text: str) -> None:
    with pytest.raises(IntegrityError):
        parse_modules(io.BytesIO(text.encode()), where="here")
