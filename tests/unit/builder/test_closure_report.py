"""What `lock` says of the hosts: what an install changes there, what an upgrade does, and why a package is in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.sources.rpm import Source, explain_rpm, resolve_rpms
from payload.errors import ResolveError, UsageError
from payload.events import Event, Note
from payload.lock import LockedRpm
from payload.manifest import Repository, Target
from payload.store import Store
from tests.unit.repos.packages import Spec, write_repository


class Notes:
    """A sink that keeps what is said."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, Note):
            self.texts.append(event.text)

    def close(self) -> None:
        """Nothing to close."""


def targets(*baselines: str | None) -> list[Target]:
    return [Target.model_validate({"os": ["el"], "python": ">=3", "baseline": name}) for name in baselines]


def source(folder: Path, specs: Sequence[Spec], *packages: str) -> Source:
    """A source of an upstream with `specs`, of which `packages` are wanted."""
    upstream = {"id": "base", "url": f"file://{write_repository(folder / 'upstream', specs)}", "gpg-keys": ["k"]}
    document = {"packages": packages, "upstreams": [upstream | {"signed-metadata": False}]}
    return Source(Repository.model_validate(document), folder, Store(folder / "store"), Notes())


def resolve(source: Source, *baselines: str | None, previous: Sequence[LockedRpm] = ()) -> tuple[LockedRpm, ...]:
    return resolve_rpms(source, source.metadata(), targets(*baselines or (None,)), previous)


def said(source: Source) -> list[str]:
    assert isinstance(source.sink, Notes)
    return source.sink.texts


def test_each_baseline_is_solved_for_and_told(tmp_path: Path) -> None:
    specs = [
        Spec("library", "1"),
        Spec("library", "2", obsoletes=("legacy",)),
        Spec("legacy", "1"),
        Spec("tool", "1", requires=("library >= 2",)),
    ]
    (tmp_path / "bare.txt").write_text("")
    (tmp_path / "full.txt").write_text("library-1-1.noarch\nlegacy-1-1.noarch\n")
    made = source(tmp_path, specs, "tool")
    assert [rpm.nevra for rpm in resolve(made, "bare.txt", "full.txt")] == ["library-0:2-1.noarch", "tool-0:1-1.noarch"]
    assert said(made) == [
        "install on bare.txt: 2 packages",
        "install on full.txt: 2 packages; upgrades library-1-1.noarch; removes legacy-1-1.noarch",
    ]


def test_an_upgrade_from_the_set_before_is_solved_for_and_told(tmp_path: Path) -> None:
    old = [Spec("library", "1"), Spec("helper", "1"), Spec("tool", "1", requires=("library", "helper"))]
    before = resolve(source(tmp_path / "old", old, "tool"))
    new = [Spec("library", "2", obsoletes=("helper",)), Spec("tool", "2", requires=("library >= 2",))]
    made = source(tmp_path / "new", new, "tool")
    assert [rpm.nevra for rpm in resolve(made, previous=before)] == ["library-0:2-1.noarch", "tool-0:2-1.noarch"]
    assert said(made)[0] == "install on an empty host: 2 packages"
    told = said(made)[-1]
    assert told.startswith("upgrade from the lock before: 2 packages")
    assert "upgrades library-1-1.noarch, tool-1-1.noarch" in told
    assert "removes helper-1-1.noarch" in told


def test_a_set_that_cannot_be_upgraded_to_fails_the_lock(tmp_path: Path) -> None:
    before = resolve(source(tmp_path / "old", [Spec("keeper", "1"), Spec("tool", "1")], "tool", "keeper"))
    made = source(tmp_path / "new", [Spec("tool", "2", conflicts=("keeper",))], "tool")
    assert [rpm.nevra for rpm in resolve(made)] == ["tool-0:2-1.noarch"]
    with pytest.raises(ResolveError) as caught:
        resolve(made, previous=before)
    assert caught.value.code == "upgrade-unresolvable"
    assert "conflicts with keeper" in caught.value.details


def test_explained_for_the_first_target_that_needs_it(tmp_path: Path) -> None:
    specs = [Spec("library", "1"), Spec("tool", "1", requires=("library",))]
    (tmp_path / "has-it.txt").write_text("library-1-1.noarch\n")
    (tmp_path / "lacks-it.txt").write_text("")
    made = source(tmp_path, specs, "tool")
    assert explain_rpm(made, targets("has-it.txt", "lacks-it.txt"), "library") == (
        "the manifest wants tool: tool-1-1.noarch",
        "tool-1-1.noarch needs library: library-1-1.noarch",
    )
    with pytest.raises(UsageError, match="no package library comes along"):
        explain_rpm(made, targets("has-it.txt"), "library")
