"""Packages, by the host's own package manager, from private repositories only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from payload.effects import atomic_write
from payload.errors import CommandError
from payload.events import Note, Sink
from repos.dnf import PackageManager, Source, detect
from repos.nevra import Nevra
from repos.offline import RepositoryFile

ADDED_NAME = "packages-added.json"
FOLDER_NAME = "yum.repos.d"
BUNDLE_NAME, MIRROR_NAME = "bundle.repo", "mirror.repo"
_KEY = "gpg-pubkey"


@dataclass(frozen=True, slots=True)
class PackagesBefore:
    """Every package of the host."""

    installed: tuple[Nevra, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPackages(Step[PackagesBefore]):
    """Install what of `wanted` the host does not have; write beside the release which packages came in.

    Packages come from the first of `mirrors` that works, or from the `bundle` when there are none. `older` is the
    repository of the release that runs now: undo finds there what this step may have replaced, without a network.
    """

    kind: ClassVar[str] = "packages"
    undo_type: ClassVar[type[Any]] = PackagesBefore
    wanted: tuple[str, ...]
    bundle: RepositoryFile
    release: Path
    mirrors: tuple[RepositoryFile, ...] = ()
    older: Source | None = None

    @override
    def describe(self) -> str:
        return f"install what is missing of the packages {', '.join(self.wanted)}"

    @override
    def prepare(self, host: Host) -> PackagesBefore:
        return PackagesBefore(_sorted(detect().installed()))

    @override
    def apply(self, host: Host, undo: PackagesBefore) -> None:
        manager = detect()
        bundle = write_source(self.release, self.bundle)
        if missing := manager.missing(self.wanted):
            if self.mirrors:
                self._from_mirrors(manager, missing, undo, host.sink)
            else:
                manager.install(bundle, missing, on_line=to_log(host.sink))
        names = {*_earlier(self.release / ADDED_NAME), *added_names(undo.installed, manager.installed())}
        atomic_write(self.release / ADDED_NAME, json.dumps(sorted(names)).encode())

    @override
    def undo(self, undo: PackagesBefore, host: Host) -> None:
        own = source_of(self.release, self.bundle)
        detect().undo(frozenset(undo.installed), (self.older or own,), on_line=to_log(host.sink))

    def _from_mirrors(
        self, manager: PackageManager, missing: tuple[str, ...], undo: PackagesBefore, sink: Sink
    ) -> None:
        """A mirror that fails leaves the host as it was: its transaction was not begun. Then the next one is tried."""
        for left, mirror in zip(range(len(self.mirrors) - 1, -1, -1), self.mirrors, strict=True):
            source = write_source(self.release, mirror, MIRROR_NAME)
            try:
                manager.install(source, missing, on_line=to_log(sink))
            except CommandError as error:
                if not left or _without_keys(manager.installed()) != _without_keys(undo.installed):
                    raise
                sink.emit(Note(f"{mirror.origin} failed, the next mirror is tried: {error}", "warning"))
            else:
                sink.emit(Note(f"packages came from {mirror.origin}"))
                return


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePackages(Step[PackagesBefore]):
    """Erase exactly `packages`; undo installs them again."""

    kind: ClassVar[str] = "packages-remove"
    undo_type: ClassVar[type[Any]] = PackagesBefore
    packages: tuple[Nevra, ...]
    repositories: RepositoryFile
    release: Path

    @override
    def describe(self) -> str:
        return f"remove the packages {', '.join(nevra.short for nevra in self.packages)}"

    @override
    def prepare(self, host: Host) -> PackagesBefore:
        return PackagesBefore(_sorted(detect().installed()))

    @override
    def apply(self, host: Host, undo: PackagesBefore) -> None:
        detect().erase(self.packages, on_line=to_log(host.sink))

    @override
    def undo(self, undo: PackagesBefore, host: Host) -> None:
        source = write_source(self.release, self.repositories)
        detect().undo(frozenset(undo.installed), (source,), on_line=to_log(host.sink))


def source_of(release: Path, repositories: RepositoryFile) -> Source:
    """The private reposdir of a release."""
    return Source(release / FOLDER_NAME, repositories.ids)


def write_source(release: Path, repositories: RepositoryFile, name: str = BUNDLE_NAME) -> Source:
    """Write a private repository file of a release."""
    source = source_of(release, repositories)
    source.reposdir.mkdir(exist_ok=True)
    atomic_write(source.reposdir / name, repositories.render().encode())
    return source


def added_names(before: Iterable[Nevra], now: Iterable[Nevra]) -> list[str]:
    """Names of packages that were not there in any version; keys in the rpm database count with their version."""
    had = {record_name(nevra) for nevra in before}
    return sorted({record_name(nevra) for nevra in now} - had)


def _earlier(path: Path) -> list[str]:
    """What the list says already, when this is a repair."""
    names: list[str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return names


def record_name(nevra: Nevra) -> str:
    """How the state names a package."""
    return f"{_KEY}-{nevra.version}-{nevra.release}" if nevra.name == _KEY else nevra.name


def _without_keys(packages: Iterable[Nevra]) -> frozenset[Nevra]:
    """A mirror's key may have been taken in before its packages were refused."""
    return frozenset(nevra for nevra in packages if nevra.name != _KEY)


def to_log(sink: Sink) -> Callable[[str], None]:
    """Sends the package manager's lines to the log."""
    return lambda line: sink.emit(Note(line, "detail"))


def _sorted(packages: Iterable[Nevra]) -> tuple[Nevra, ...]:
    return tuple(sorted(packages, key=lambda nevra: nevra.key))
