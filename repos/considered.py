"""Which packages of a pool count: not those of inactive module streams, nor those that the manifest excludes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from repos.metadata import Metadata
from repos.modules import ModuleDocument, ModuleFilter, module_filter, parse_modules
from repos.nevra import Nevra


@dataclass(frozen=True, slots=True)
class Policy:
    """What else decides: patterns of packages that are not to come, module streams to enable, whether recommended
    packages come along, and, where it is given, the only packages that may come."""

    exclude: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    weak: bool = False
    only: frozenset[Nevra] | None = None


DEFAULT = Policy()


def hidden_packages(pool: Any, repos: Sequence[tuple[Metadata, Any]], policy: Policy) -> set[int]:
    """The solvables of `repos` (each with libsolv's own) that are as if they were not there. `pool` knows what they
    provide.

    Raises:
        IntegrityError: an upstream's modules cannot be read.
        ResolveError: no upstream has one of the policy's module streams, or they do not go together.
    """
    hidden = set(_modular(pool, repos, module_filter([*_documents(repos)], policy.modules)))
    if policy.only is not None:
        hidden |= {one.id for _, repo in repos for one in repo.solvables if Nevra.of(one) not in policy.only}
    for metadata, repo in repos:
        patterns = (*policy.exclude, *metadata.upstream.exclude)
        if patterns:
            hidden |= {solvable.id for solvable in repo.solvables if excluded(Nevra.of(solvable), patterns)}
    return hidden


def excluded(nevra: Nevra, patterns: Iterable[str]) -> bool:
    """Whether one of `patterns` fits the name, name.arch or NEVRA (with or without the epoch) of a package."""
    spellings = (nevra.name, f"{nevra.name}.{nevra.arch}", nevra.short, str(nevra))
    return any(fnmatchcase(spelling, pattern) for pattern in patterns for spelling in spellings)


def _documents(repos: Iterable[tuple[Metadata, Any]]) -> Iterator[ModuleDocument]:
    for metadata, _ in repos:
        with metadata.unpack("modules") as text:
            if text is not None:
                yield parse_modules(text, where=metadata.where)


def _modular(pool: Any, repos: Iterable[tuple[Metadata, Any]], modules: ModuleFilter) -> Iterator[int]:
    if not modules.shown and not modules.hidden:
        return
    shadowed = {solvable.id for name in modules.names for solvable in pool.whatprovides(pool.Dep(name))}
    for _, repo in repos:
        for solvable in repo.solvables:
            nevra = Nevra.of(solvable)
            if nevra not in modules.shown and (nevra in modules.hidden or solvable.id in shadowed):
                yield solvable.id
