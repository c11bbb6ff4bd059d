"""Captured baselines: real packages in a real database of rpm, and what the closure makes of them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from payload import effects
from payload.errors import InputError, ResolveError, UsageError
from repos.baseline import CAPTURE, Installed, capture_baseline, read_baseline
from repos.closure import resolve_closure
from repos.nevra import Nevra
from tests.paths import CHECKOUT
from tests.unit.repos.packages import Spec, build_rpm
from tests.unit.repos.test_closure import load, names

LOCAL = Spec(
    "local",
    "1",
    epoch=2,
    provides=("api = 3",),
    requires=("(this if that)", "/bin/sh"),
    conflicts=("rival < 2",),
    obsoletes=("older < 1",),
    files=("/opt/local/rc",),
)
"""A package of the host's vendor, which no upstream has."""
TOOL = Spec("tool", "1", requires=("api >= 2", "/opt/local/rc"))
OTHER = Spec("other", "1", provides=("api = 2",), files=("/opt/local/rc",))


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline file of a system with `LOCAL` and a package that says nothing."""
    folder = tmp_path_factory.mktemp("host")
    root = folder / "root"
    root.mkdir()
    where: list[str | Path] = ["--root", root, "--dbpath", "/var/lib/rpm"]
    for package in (build_rpm(LOCAL, folder / "built"), build_rpm(Spec("bare", "1"), folder / "built")):
        effects.run(["rpm", *where, "--justdb", "--nodeps", "--ignorearch", "-i", package])
    (file := folder / "host.txt").write_text(capture_baseline(root))
    return file


def test_a_capture_has_all_that_packages_say(captured: Path) -> None:
    bare, local = read_baseline(captured)
    assert (str(bare.nevra), str(local.nevra)) == ("bare-0:1-1.noarch", LOCAL.nevra)
    assert local.dependencies["provides"] == ("api = 3", "local = 2:1-1")
    assert {"(this if that)", "/bin/sh"} < set(local.dependencies["requires"])
    assert (local.dependencies["conflicts"], local.dependencies["obsoletes"]) == (("rival < 2",), ("older < 1",))
    assert local.files == {"/opt/local/rc"}


def test_what_a_host_provides_by_itself_is_not_carried(captured: Path, tmp_path: Path) -> None:
    metadata = load(tmp_path, [TOOL, OTHER])
    closure = resolve_closure(["tool"], [metadata], baseline=read_baseline(captured))
    assert (names(closure), closure.unknown) == (["tool"], ())
    by_name = [Installed(Nevra.parse(LOCAL.nevra))]
    assert names(resolve_closure(["tool"], [metadata], baseline=by_name)) == ["other", "tool"]


def test_what_a_host_cannot_live_with_is_found(captured: Path, tmp_path: Path) -> None:
    metadata = load(tmp_path, [Spec("rival", "1")])
    with pytest.raises(ResolveError, match="cannot be installed") as caught:
        resolve_closure(["rival"], [metadata], baseline=read_baseline(captured))
    assert "local" in caught.value.details


def test_names_alone_will_do(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("# a host\n\nbash-5.1-2.el9.x86_64\ngpg-pubkey-1-2.(none)\n")
    assert read_baseline(tmp_path / "names.txt") == (Installed(Nevra("bash", 0, "5.1", "2.el9", "x86_64")),)


@pytest.mark.parametrize(
    "text", ["bash\n", " provides bash\n", "a-1-1.noarch\n likes b\n", "a-1-1.noarch\n provides\n"]
)
def test_lines_that_belong_to_no_baseline(tmp_path: Path, text: str) -> None:
    (tmp_path / "wrong.txt").write_text(text)
    with pytest.raises(InputError):
        read_baseline(tmp_path / "wrong.txt")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_baseline(tmp_path / "none.txt")
    with pytest.raises(InputError, match="no packages"):
        capture_baseline(tmp_path)


def test_the_documents_name_the_command_itself() -> None:
    assert shlex.join(CAPTURE) in (CHECKOUT / "docs/mirror.md").read_text()
