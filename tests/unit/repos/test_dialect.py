"""The words of each package manager."""

from __future__ import annotations

from pathlib import Path

import pytest

from repos.dialect import Dialect, Kind, Source
from repos.nevra import Nevra

CACHE = Path("/cache")
SOURCE = Source(Path("/opt/thing/releases/1.0/yum.repos.d"), ("thing-bundle",))
OWN = ["--disablerepo=*", "--enablerepo=thing-bundle"]
TOOL = Nevra("tool", 0, "1", "1", "noarch")
OLD, NEW = Nevra("library", 1, "1", "1", "noarch"), Nevra("library", 1, "2", "1", "noarch")


def test_install_words_of_dnf() -> None:
    dialect = Dialect("/usr/bin/dnf", "dnf")
    base = [
        "/usr/bin/dnf",
        "-y",
        "--noplugins",
        "--setopt=reposdir=/opt/thing/releases/1.0/yum.repos.d",
        "--setopt=cachedir=/cache",
        "--setopt=skip_if_unavailable=0",
        "--setopt=gpgcheck=1",
        "--setopt=clean_requirements_on_remove=0",
        "--refresh",
        "--setopt=install_weak_deps=0",
        *OWN,
    ]
    assert list(dialect.install((SOURCE,), CACHE, ["tool >= 1", "other"])) == [*base, "install", "tool >= 1", "other"]
    harmful = dialect.install((SOURCE,), CACHE, ["tool"], removals=True, comment="mine 1")
    assert list(harmful) == [*base, "--comment=mine 1", "install", "--allowerasing", "tool"]


@pytest.mark.parametrize(
    ("kind", "start", "learns"),
    [
        ("dnf", ["p", "-y", "--assumeno", f"--setopt=logdir={CACHE}", "--noplugins"], False),
        ("dnf5", ["p", "--assumeno", f"--setopt=logdir={CACHE}", "--no-plugins"], True),
        ("yum", ["p", "--assumeno", "--noplugins"], True),
    ],
)
def test_preview_words(kind: Kind, start: list[str], learns: bool) -> None:
    dialect = Dialect("p", kind)
    words = list(dialect.preview((SOURCE,), CACHE, ["tool"]))
    assert words[: len(start)] == start
    own = [word.replace("repo=", "-repo=") for word in OWN] if kind == "dnf5" else OWN
    assert [*own, "install", "tool"] == words[-4:]
    learn = list(dialect.learn_keys((SOURCE,), CACHE))
    assert (learn[1:2] == ["-y"] and learn[-3:] == [*own, "makecache"]) if learns else learn == []


def test_install_words_of_yum() -> None:
    argv = Dialect("/usr/bin/yum", "yum").install((SOURCE,), CACHE, ["tool"], removals=True, comment="mine")
    assert not {"--setopt=install_weak_deps=0", "--refresh", "--allowerasing", "--comment=mine"} & set(argv)
    assert [*OWN, "install", "tool"] == list(argv[-4:])


def test_restore_words() -> None:
    wanted, now = (OLD, TOOL), frozenset({NEW})
    for kind in ("dnf", "dnf5"):
        (dnf,) = Dialect("dnf", kind).restore((SOURCE,), CACHE, wanted, now)
        assert dnf[-4:] == ("install", "--allowerasing", "library-1:1-1.noarch", "tool-1-1.noarch")
    down, install = Dialect("yum", "yum").restore((SOURCE,), CACHE, wanted, now)
    assert down[-2:] == ("downgrade", "1:library-1-1.noarch")
    assert install[-2:] == ("install", "tool-1-1.noarch")
