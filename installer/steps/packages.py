"""Packages, by the host's own package manager, from private repositories only."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.served import served_bundle, write_repository_file
from installer.steps.base import Host, Step, register
from installer.writing import write_file
from payload.borrow import left_entries
from payload.effects import remove_leftovers
from payload.errors import CommandError, StepError
from payload.events import Note, Sink
from payload.model import Index
from repos.dialect import Source
from repos.dnf import detect, undo_plan
from repos.nevra import Nevra
from repos.offline import REPOSITORY_FOLDER, RepositoryFile

ADDED_NAME = "packages-added.json"
FOLDER_NAME = "yum.repos.d"
BUNDLE_NAME, MIRROR_NAME = "bundle.repo", "mirror.repo"
_KEY = "gpg-pubkey"


@dataclass(frozen=True, slots=True)
class PackagesBefore:
    """Every package of the host, and the comment by which its history knows our transactions.

    `keys` are those public keys in the rpm database that the step takes out.
    """

    installed: tuple[Nevra, ...]
    comment: str = ""
    keys: tuple[str, ...] = ()


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPackages(Step[PackagesBefore]):
    """Install what of `wanted` the host does not have; write beside the release which packages came in.

    Packages come out of the bundle, or from the first of `mirrors` that works; with `bundle_first` from that mirror
    only what the bundle lacks. The step may remove or set back the packages that `harm` names, and no others. Of the
    bundle's packages those that are installed then stay in the release: undoing a later upgrade finds them there.
    `older` is the repository of the release that runs now, for undoing this step.
    """

    kind: ClassVar[str] = "packages"
    undo_type: ClassVar[type[Any]] = PackagesBefore
    wanted: tuple[str, ...]
    bundle: RepositoryFile
    release: Path
    mirrors: tuple[RepositoryFile, ...] = ()
    bundle_first: bool = False
    harm: tuple[str, ...] = ()
    older: Source | None = None

    @override
    def describe(self) -> str:
        text = f"install what is missing of the packages {', '.join(self.wanted)}"
        return f"{text}, and for that remove or set back {', '.join(self.harm)}" if self.harm else text

    @override
    def undone(self) -> str:
        return "undo this transaction of the package manager, and no other"

    @override
    def prepare(self, host: Host) -> PackagesBefore:
        return PackagesBefore(_sorted(detect().installed()), f"sealift {secrets.token_hex(8)}")

    @override
    def apply(self, host: Host, undo: PackagesBefore) -> None:
        manager = detect()
        before = frozenset(undo.installed)
        write_repository_file(self.release / FOLDER_NAME, BUNDLE_NAME, self.bundle)
        if missing := manager.missing(self.wanted):
            if self.mirrors:
                self._from_mirrors(missing, undo, host)
            else:
                with served_bundle(host.opened_bundle(), self.release) as source:
                    self._install((source,), missing, undo, host)
        now = manager.installed()
        self._check_harm(before, now)
        self._keep(host, now)
        names = {*_earlier(self.release / ADDED_NAME), *added_names(before, now)}
        write_file(self.release / ADDED_NAME, json.dumps(sorted(names)).encode())

    @override
    def undo(self, undo: PackagesBefore, host: Host) -> None:
        for name in (ADDED_NAME, f"{FOLDER_NAME}/{BUNDLE_NAME}", f"{FOLDER_NAME}/{MIRROR_NAME}"):
            remove_leftovers(self.release / name)
        manager, before = detect(), frozenset(undo.installed)
        own = Source(self.release / FOLDER_NAME, self.bundle.ids)
        altered = manager.altered_by(undo.comment) if undo.comment else None
        now = manager.undo(before, (self.older or own,), altered=altered, on_line=to_log(host.sink))
        others = undo_plan(before, now)
        for word, packages in (("added", others.erase), ("removed or changed", others.restore)):
            if packages:
                names = ", ".join(nevra.short for nevra in packages)
                host.sink.emit(Note(f"left as they are, since somebody else {word} them meanwhile: {names}", "warning"))

    def _install(self, sources: tuple[Source, ...], missing: tuple[str, ...], undo: PackagesBefore, host: Host) -> None:
        host.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        detect().install(
            sources,
            missing,
            removals=bool(self.harm),
            comment=undo.comment,
            scratch=host.scratch,
            on_line=to_log(host.sink),
        )

    def _from_mirrors(self, missing: tuple[str, ...], undo: PackagesBefore, host: Host) -> None:
        """A mirror that fails leaves the host as it was: its transaction was not begun. Then the next one is tried."""
        with self._beside(host) as beside:
            for left, mirror in zip(range(len(self.mirrors) - 1, -1, -1), self.mirrors, strict=True):
                source = write_repository_file(self.release / FOLDER_NAME, MIRROR_NAME, mirror)
                try:
                    self._install((*beside, source), missing, undo, host)
                except CommandError as error:
                    if not left or _without_keys(detect().installed()) != _without_keys(undo.installed):
                        raise
                    host.sink.emit(Note(f"{mirror.origin} failed, the next mirror is tried: {error}", "warning"))
                else:
                    host.sink.emit(Note(f"packages came from {mirror.origin}"))
                    return

    @contextmanager
    def _beside(self, host: Host) -> Iterator[tuple[Source, ...]]:
        """What stands before the mirrors."""
        if not self.bundle_first:
            yield ()
            return
        with served_bundle(host.opened_bundle(), self.release) as source:
            yield (source,)

    def _check_harm(self, before: frozenset[Nevra], now: frozenset[Nevra]) -> None:
        """The package manager resolves anew: it must not have done more than the operator saw."""
        newer = {(nevra.name, nevra.arch): nevra.evr for nevra in now}
        gone = (nevra for nevra in before - now if newer.get((nevra.name, nevra.arch), nevra.evr) <= nevra.evr)
        if more := [nevra.short for nevra in _sorted(gone) if nevra.name != _KEY and nevra.name not in self.harm]:
            raise StepError(
                "packages-removed",
                "the package manager removed or set back packages that the plan did not name",
                details=", ".join(more),
                remedy="look at the packages of this host, and run the same command again",
            )

    def _keep(self, host: Host, now: frozenset[Nevra]) -> None:
        bundle = host.opened_bundle()
        inside = installed_paths(bundle.index, now) - left_entries(bundle)
        wanted = {path for path in inside if not (self.release / path).exists()}
        if wanted:
            bundle.extract(self.release, select=lambda entry: entry.path in wanted, sink=host.sink, stage=self.kind)


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
    def undone(self) -> str:
        return "install them again, from the release"

    @override
    def prepare(self, host: Host) -> PackagesBefore:
        manager = detect()
        installed = manager.installed()
        return PackagesBefore(_sorted(installed), keys=manager.keys(set(self.packages) & installed))

    @override
    def apply(self, host: Host, undo: PackagesBefore) -> None:
        detect().erase(self.packages, on_line=to_log(host.sink))

    @override
    def undo(self, undo: PackagesBefore, host: Host) -> None:
        source = write_repository_file(self.release / FOLDER_NAME, BUNDLE_NAME, self.repositories)
        altered = frozenset((nevra.name, nevra.arch) for nevra in self.packages)
        before = frozenset(undo.installed)
        detect().undo(before, (source,), altered=altered, keys=undo.keys, on_line=to_log(host.sink))


def installed_paths(index: Index, now: frozenset[Nevra]) -> frozenset[str]:
    """Where the bundle has the packages of `now`, in exactly those versions."""
    have = {str(nevra) for nevra in now}
    return frozenset(f"{REPOSITORY_FOLDER}/Packages/{rpm.filename}" for rpm in index.lock.rpms if rpm.nevra in have)


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
