"""What must come along: the wanted packages and everything they need that a minimal host does not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import solv  # type: ignore[import-untyped]

from payload.digest import Digest
from payload.errors import ResolveError
from repos.baseline import Installed
from repos.chain import explain
from repos.considered import DEFAULT, Policy
from repos.metadata import Metadata
from repos.nevra import Nevra, Requirement
from repos.pool import Pool, WantedJob
from repos.repomd import safe_location

_KEEP_EXPLICIT_OBSOLETES = 11  # libsolv's SOLVER_FLAG_KEEP_EXPLICIT_OBSOLETES, which its Python module does not name
_FLAGS = (
    # What dnf sets (it writes its question down as a libsolv test case), so that both choose the same among several
    # answers.
    solv.Solver.SOLVER_FLAG_ALLOW_DOWNGRADE,
    solv.Solver.SOLVER_FLAG_ALLOW_VENDORCHANGE,
    solv.Solver.SOLVER_FLAG_KEEP_ORPHANS,
    solv.Solver.SOLVER_FLAG_BEST_OBEY_POLICY,
    solv.Solver.SOLVER_FLAG_YUM_OBSOLETES,
    _KEEP_EXPLICIT_OBSOLETES,
)


@dataclass(frozen=True, slots=True)
class ResolvedPackage:
    """A package of the closure. `requested`: it is there because the manifest names it."""

    nevra: Nevra
    upstream: str
    location: str
    digest: Digest
    size: int
    requested: bool


@dataclass(frozen=True, slots=True)
class Closure:
    """The answer, sorted. `unknown`: packages of the baseline that no upstream has in that version and that were not
    captured; what they provide is not known, so the closure may carry another version of them. `upgraded` and `removed`
    are what an install does to the packages of the host."""

    packages: tuple[ResolvedPackage, ...]
    unknown: tuple[Nevra, ...] = ()
    upgraded: tuple[Nevra, ...] = ()
    removed: tuple[Nevra, ...] = ()


@dataclass(frozen=True, slots=True)
class Solution:
    """libsolv's answer to `jobs`."""

    pool: Pool
    jobs: Sequence[WantedJob]
    transaction: Any


def resolve_closure(
    wanted: Sequence[str],
    upstreams: Sequence[Metadata],
    *,
    baseline: Iterable[Installed] = (),
    arch: str = "x86_64",
    policy: Policy = DEFAULT,
) -> Closure:
    """Solve for `wanted` (requirement strings) on a host that has the `baseline`.

    Raises:
        ResolveError: something cannot be had; the details name the chain of packages that asks for it.
        InputError: a requirement is malformed.
        IntegrityError: an upstream's metadata is damaged.
    """
    return closure_of(solve(wanted, upstreams, baseline=baseline, arch=arch, policy=policy))


def solve(
    wanted: Sequence[str],
    upstreams: Sequence[Metadata],
    *,
    baseline: Iterable[Installed] = (),
    arch: str = "x86_64",
    policy: Policy = DEFAULT,
) -> Solution:
    """The answer itself, for `closure_of` and `repos.reasons`.

    Raises:
        ResolveError, InputError, IntegrityError: see `resolve_closure`.
    """
    requirements = tuple(Requirement.parse(text) for text in wanted)
    present = sorted({one.nevra: one for one in baseline}.values(), key=lambda one: one.nevra.key)
    pool = Pool(upstreams, requirements, present, arch, policy)
    jobs = pool.install_jobs(requirements)
    solver = pool.native.Solver()
    for flag in _FLAGS:
        solver.set_flag(flag, True)
    solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, not policy.weak)
    if problems := solver.solve([job.native for job in jobs] + pool.multiversion_jobs()):
        asked_by = {job.native.what: (job.text, job.candidates) for job in jobs}
        raise ResolveError(
            "unresolvable",
            "The packages that the manifest wants cannot be installed with all that they need",
            details="\n".join(explain(problem, pool.native, asked_by) for problem in problems),
            remedy="Add an upstream that has what is missing, or change what is wanted.",
        )
    return Solution(pool, jobs, solver.transaction())


def closure_of(solution: Solution) -> Closure:
    """What `solution` says, in our own values."""
    asked = {candidate for job in solution.jobs for candidate in job.candidates}
    packages = [_resolved(one, one.id in asked) for one in solution.transaction.newsolvables()]
    changed = _changes(solution.transaction)
    return Closure(tuple(sorted(packages, key=lambda package: package.nevra.key)), solution.pool.unknown, *changed)


def every_package(upstreams: Sequence[Metadata], *, policy: Policy = DEFAULT) -> tuple[ResolvedPackage, ...]:
    """All packages of `upstreams` in all versions, sorted; the source packages and what `policy` hides left out.

    Raises:
        IntegrityError: an upstream's metadata is damaged.
    """
    pool = Pool(upstreams, (), (), "x86_64", policy)
    found = (_resolved(one, True) for one in pool.shown() if one.arch not in ("src", "nosrc"))
    return tuple(sorted(found, key=lambda package: (package.nevra.key, package.upstream)))


def _changes(transaction: Any) -> tuple[tuple[Nevra, ...], tuple[Nevra, ...]]:
    """The host's packages that are replaced by another version, and those that go."""
    upgraded: list[Nevra] = []
    removed: list[Nevra] = []
    names = {solvable.name for solvable in transaction.newsolvables()}
    for step in transaction.steps():
        if step.isinstalled():
            (upgraded if step.name in names else removed).append(Nevra.of(step))
    return tuple(sorted(upgraded, key=lambda one: one.key)), tuple(sorted(removed, key=lambda one: one.key))


def _resolved(solvable: Any, requested: bool) -> ResolvedPackage:
    nevra = Nevra.of(solvable)
    checksum = solvable.lookup_checksum(solv.SOLVABLE_CHECKSUM)
    if checksum is None or checksum.typestr() != "sha256":
        raise ResolveError(
            "weak-metadata",
            f"{solvable.repo.name} has no SHA-256 digest of {nevra.short}",
            remedy="Use an upstream that has SHA-256 digests, or make one of its packages with createrepo_c.",
        )
    location = safe_location(solvable.lookup_location()[0], where=solvable.repo.name)
    size = solvable.lookup_num(solv.SOLVABLE_DOWNLOADSIZE)
    digest = f"sha256:{checksum.hex()}"
    return ResolvedPackage(nevra, solvable.repo.name, location, digest, size, requested)
