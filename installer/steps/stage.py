"""Putting a release beside the running one, or putting back what is damaged in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import missing_parents, remove_empty, remove_tree
from installer.writing import write_file
from payload.archive import VerifiedBundle
from payload.borrow import Takeover, borrowed_entries, left_entries
from payload.digest import digest_file
from payload.effects import remove_leftovers, sync_filesystem
from payload.errors import IntegrityError
from payload.events import Sink, stage
from payload.index import index_text
from payload.model import Entry, Index
from repos.offline import PACKAGES_FOLDER

INDEX_NAME = "index.json"


@dataclass(frozen=True, slots=True)
class StageBefore:
    """Folders above the release that were not there, deepest first; was something where the release goes?"""

    missing: tuple[Path, ...]
    existed: bool


@dataclass(frozen=True, slots=True)
class BaseRelease:
    """The installed release that an upgrade bundle is completed from: the number of the base, and its folder."""

    number: int
    folder: Path


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class StageRelease(Step[StageBefore]):
    """Unpack bundle and runtime into `release`, verifying while writing; `index.json` comes last.

    What lies there already is moved aside until the commit, unless `repair`: then only what is missing or differs
    from the signed index is written again, and undo leaves it so.
    """

    kind: ClassVar[str] = "stage"
    undo_type: ClassVar[type[Any]] = StageBefore
    staging: ClassVar[bool] = True
    release: Path
    repair: bool = False
    all_packages: bool = True
    """Else RPM packages stay in the bundle and are only read and checked: whoever installs them takes them there."""
    base: BaseRelease | None = None

    @override
    def describe(self) -> str:
        return f"repair the files of {self.release}" if self.repair else f"unpack the release into {self.release}"

    @override
    def undone(self) -> str:
        return "nothing: repaired files stay" if self.repair else "remove the folder, or put back what lay there"

    @override
    def prepare(self, host: Host) -> StageBefore:
        return StageBefore(missing_parents(self.release.parent), self.release.exists())

    @override
    def apply(self, host: Host, undo: StageBefore) -> None:
        bundle = host.opened_bundle()
        if undo.existed and not self.repair:
            self.release.rename(self._aside)
        self.release.mkdir(parents=True, exist_ok=True)
        wanted = damaged(self.release, bundle.index, all_packages=self.all_packages) | self._packages_of_base(bundle)
        for path in wanted:
            remove_tree(self.release / path)
        self._unpack(bundle, wanted - left_entries(bundle), host.sink)
        runtime = self.release / "runtime"
        remove_tree(runtime.with_name("runtime.new"))
        bundle.unpack_runtime(runtime.with_name("runtime.new"))
        remove_tree(runtime)
        runtime.with_name("runtime.new").rename(runtime)
        write_file(self.release / INDEX_NAME, index_text(bundle.index))
        sync_filesystem(self.release)

    def _packages_of_base(self, bundle: VerifiedBundle) -> frozenset[str]:
        """Packages that the bundle does not hold have to lie in the release for whoever installs them."""
        if self.base is None:
            return frozenset()
        outside = filter(is_package, borrowed_entries(bundle))
        return frozenset(path for path in outside if not (self.release / path).exists())

    def _unpack(self, bundle: VerifiedBundle, wanted: frozenset[str], sink: Sink) -> None:
        outside = borrowed_entries(bundle) & wanted
        if outside and self.base is None:
            raise IntegrityError(
                "base-missing",
                f"{len(outside)} files are not in this upgrade bundle, and no release that has them lies here",
                details="\n".join(sorted(outside)),
                remedy="use the full bundle of this version",
            )

        def written(entry: Entry) -> bool:
            return entry.path in wanted and entry.path not in outside

        def checked(entry: Entry) -> bool:
            return is_package(entry.path) and not written(entry)

        text = f"unpack and verify {len(wanted - outside)} files"
        total = bundle.stored_size(lambda entry: written(entry) or checked(entry))
        with stage(sink, self.kind, text, total=total):
            bundle.extract(self.release, select=written, check=checked, sink=sink, stage=self.kind)
        if self.base is not None and outside:
            self._take(bundle, self.base, outside, sink)

    def _take(self, bundle: VerifiedBundle, base: BaseRelease, outside: frozenset[str], sink: Sink) -> None:
        sizes = bundle.index.content_sizes
        total = sum(sizes[entry.blob] for entry in bundle.index.entries if entry.path in outside)
        with stage(sink, self.kind, f"take {len(outside)} files from {base.folder}", total=total):
            takeover = Takeover(bundle, base.number, base.folder, self.release)
            takeover.run(lambda entry: entry.path in outside, sink=sink, stage=self.kind)

    @override
    def undo(self, undo: StageBefore, host: Host) -> None:
        if self.repair:
            remove_leftovers(self.release / INDEX_NAME)
            return
        if not undo.existed:
            remove_tree(self.release)
        elif self._aside.exists():
            remove_tree(self.release)
            self._aside.rename(self.release)
        remove_empty(undo.missing)

    @override
    def cleanup(self, undo: StageBefore, host: Host) -> None:
        remove_tree(self._aside)

    @property
    def _aside(self) -> Path:
        return self.release.with_name(f".{self.release.name}.replaced")


def damaged(release: Path, index: Index, *, all_packages: bool) -> frozenset[str]:
    """Paths of the index that are missing under `release`, or are not what was signed. RPM packages need not be there
    unless `all_packages` says so."""
    return frozenset(
        entry.path
        for entry in index.entries
        if (all_packages or not is_package(entry.path) or (release / entry.path).exists())
        and not _intact(release / entry.path, entry.mode, entry.blob)
    )


def is_package(path: str) -> bool:
    """Whether an entry is an RPM package of the bundle's repository."""
    return path.startswith(f"{PACKAGES_FOLDER}/")


def _intact(path: Path, mode: int, digest: str) -> bool:
    return (
        path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o777 == mode and digest_file(path) == digest
    )
