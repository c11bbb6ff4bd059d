"""What changed from one bundle to another: packages, wheels, images, files by component, and the manifest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from payload.digest import Digest
from payload.lock import LockedWheel
from payload.model import Entry, Index
from repos.offline import KEYS_FOLDER, REPOSITORY_FOLDER

_PART_OF_THE_LOCK = ("repository", "server", "agents/", "tools", "images/", "python", "lock", "sbom", "provenance")
"""Components whose files follow from the lock: packages, wheels and images say it better."""
_KEYS = (f"{KEYS_FOLDER}/", f"{REPOSITORY_FOLDER}/RPM-GPG-KEY")
"""Files of the repository that do not: whoever signs its packages and its metadata."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing: as it was and as it is. None: it was not there, or is gone."""

    kind: str
    """`package`, `wheel`, `python`, `image`, `file`, `manifest`, `trust` or `runtime`."""
    where: str
    """The component, or the table of the manifest."""
    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"  + {self.name} {self.new}"
        return f"  - {self.name} {self.old}" if self.new is None else f"  ~ {self.name} {self.old} -> {self.new}"


def changes(old: Index, new: Index) -> tuple[Change, ...]:
    """All that differs, in a fixed order."""
    return (
        *_compare("package", "repository", *_packages(old, new)),
        *_wheel_changes(old, new),
        *_compare("python", "python", _python(old), _python(new)),
        *_compare("image", "images", _images(old), _images(new)),
        *_file_changes(old, new),
        *_manifest_changes(old, new),
        *_compare("trust", "keyring", _keyring(old), _keyring(new)),
        *_compare("runtime", "runtime", {"runtime": old.runtime.digest}, {"runtime": new.runtime.digest}),
    )


def to_lines(found: Iterable[Change]) -> Iterator[str]:
    """For people: a heading for each kind and component."""
    for (kind, where), same in groupby(found, key=lambda change: (change.kind, change.where)):
        yield f"{kind}: {where}"
        yield from map(str, same)


def to_rows(found: Iterable[Change]) -> list[dict[str, str | None]]:
    """For programs."""
    return [asdict(change) for change in found]


def _compare(kind: str, where: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Change(kind, where, name, old.get(name), new.get(name))


def _packages(old: Index, new: Index) -> tuple[dict[str, str], dict[str, str]]:
    """Packages that are there in several versions, as kernels are, have all of them in one row. A build of the same
    version that is another one has its digest."""
    versions = [{rpm.nevra: rpm.digest for rpm in index.lock.rpms} for index in (old, new)]
    rebuilt = {nevra for nevra, digest in versions[0].items() if versions[1].get(nevra, digest) != digest}

    def rows(index: Index) -> dict[str, str]:
        found: dict[str, list[str]] = {}
        for rpm in index.lock.rpms:
            epoch = f"{rpm.epoch}:" if rpm.epoch else ""
            build = _build(rpm.digest) if rpm.nevra in rebuilt else ""
            found.setdefault(f"{rpm.name}.{rpm.arch}", []).append(f"{epoch}{rpm.version}-{rpm.release}{build}")
        return {name: ", ".join(sorted(texts)) for name, texts in found.items()}

    return rows(old), rows(new)


def _wheel_changes(old: Index, new: Index) -> Iterator[Change]:
    """A wheel that was built from a path has its digest always, others where a file of the same name is another one."""
    builds = [{(each.environment, each.filename): each.digest for each in _wheels(index)} for index in (old, new)]
    rebuilt = {key for key, digest in builds[0].items() if builds[1].get(key, digest) != digest}

    def wheels(index: Index, environment: str) -> dict[str, str]:
        return {each.name: text(each) for each in _wheels(index) if each.environment == environment}

    def text(wheel: LockedWheel) -> str:
        told = wheel.source == "path" or (wheel.environment, wheel.filename) in rebuilt
        return f"{wheel.version}{_build(wheel.digest) if told else ''}"

    for environment in sorted({wheel.environment for index in (old, new) for wheel in _wheels(index)}):
        yield from _compare("wheel", environment, wheels(old, environment), wheels(new, environment))


def _build(digest: Digest) -> str:
    return f" ({digest[7:19]})"


def _python(index: Index) -> dict[str, str]:
    python = index.lock.python
    return {} if python is None else {"python": f"{python.version}, glibc {python.libc}{_build(python.digest)}"}


def _wheels(index: Index) -> Iterable[LockedWheel]:
    return (*index.lock.wheels, index.lock.pip)


def _images(index: Index) -> dict[str, str]:
    return {image.name: f"{image.digest[7:19]}, {image.size} bytes" for image in index.lock.images}


def _file_changes(old: Index, new: Index) -> Iterator[Change]:
    def files(index: Index, component: str) -> dict[str, str]:
        return {
            entry.path: f"{entry.blob[7:19]}, mode {entry.mode:04o}"
            for entry in index.entries
            if entry.component == component and not _follows(entry)
        }

    for component in sorted({entry.component for index in (old, new) for entry in index.entries}):
        yield from _compare("file", component, files(old, component), files(new, component))


def _follows(entry: Entry) -> bool:
    return entry.component.startswith(_PART_OF_THE_LOCK) and not entry.path.startswith(_KEYS)


def _manifest_changes(old: Index, new: Index) -> Iterator[Change]:
    before, after = (_flat(index.manifest.model_dump(mode="json", by_alias=True)) for index in (old, new))
    tables = sorted({key.partition(".")[0] for key in before.keys() | after.keys()})
    for table in tables:
        yield from _compare(
            "manifest", table, *({k: v for k, v in each.items() if _in(k, table)} for each in (before, after))
        )


def _in(key: str, table: str) -> bool:
    return key == table or key.startswith(f"{table}.")


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """The leaves of a document by their path; items of a list that have a name are found by it."""
    if isinstance(value, dict):
        pairs = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        pairs = [
            (str(each.get("name") or each.get("id") or each.get("path") or n), each) for n, each in enumerate(value)
        ]
    else:
        return {} if value in (None, [], {}) else {path: str(value)}
    return {key: leaf for name, each in pairs for key, leaf in _flat(each, f"{path}.{name}".lstrip(".")).items()}


def _keyring(index: Index) -> dict[str, str]:
    ring = index.keyring
    terms = {"version": str(ring.version), "threshold": str(ring.threshold)}
    if ring.expires is not None:
        terms["expires"] = str(ring.expires)
    return terms | {key.fingerprint: key.comment or "trusted" for key in ring.keys}
