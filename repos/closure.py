"""What must come along: the wanted packages and everything they need that a minimal host does not have."""

from __future__ import annotations

from collections import deque
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
    """A package of the closure. `requested`: it is there because the manifest names it. `needed_by` (none for what the
    manifest wants) needs `need` of it."""

    nevra: Nevra
    upstream: str
    location: str
    digest: Digest
    size: int
    requested: bool
    need: str
    needed_by: Nevra | None


@dataclass(frozen=True, slots=True)
class Closure:
    """The answer, sorted. `unknown`: packages of the baseline that no upstream has in that version and that were not
    captured; what they provide is not known, so the closure may carry another version of them. `upgraded` and `removed`
    are what an install does to the packages of the host."""

    packages: tuple[ResolvedPackage, ...]
    unknown: tuple[Nevra, ...] = ()
    upgraded: tuple[Nevra, ...] = ()
    removed: tuple[Nevra, ...] = ()

    def why(self, name: str) -> tuple[str, ...]:
        """Why the package of that name is in: from what is wanted down to it, a line for each step; none if it is not
        in."""
        by_nevra = {package.nevra: package for package in self.packages}
        package = next((one for one in self.packages if one.nevra.name == name), None)
        lines: list[str] = []
        while package is not None:
            parent = package.needed_by
            asks = "the manifest wants" if parent is None else f"{parent.short} needs"
            lines.append(f"{asks} {package.need}: {package.nevra.short}")
            package = by_nevra[parent] if parent is not None else None
        return tuple(reversed(lines))


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
    transaction = solver.transaction()
    new = {solvable.id: solvable for solvable in transaction.newsolvables()}
    asked = {candidate for job in jobs for candidate in job.candidates}
    reasons = _reasons(jobs, new, pool)
    packages = (_resolved(one, one.id in asked, *reasons[one.id]) for one in new.values())
    changed = _changes(transaction)
    return Closure(tuple(sorted(packages, key=lambda package: package.nevra.key)), pool.unknown, *changed)


def every_package(upstreams: Sequence[Metadata], *, policy: Policy = DEFAULT) -> tuple[ResolvedPackage, ...]:
    """All packages of `upstreams` in all versions, sorted; the source packages and what `policy` hides left out.

    Raises:
        IntegrityError: an upstream's metadata is damaged.
    """
    pool = Pool(upstreams, (), (), "x86_64", policy)
    found = (_resolved(one, True, "everything", None) for one in pool.shown() if one.arch not in ("src", "nosrc"))
    return tuple(sorted(found, key=lambda package: (package.nevra.key, package.upstream)))


def _reasons(jobs: Sequence[WantedJob], new: dict[int, Any], pool: Pool) -> dict[int, tuple[str, Nevra | None]]:
    """For each new solvable, the need that it meets and whose, by the shortest way from what is wanted."""
    reasons: dict[int, tuple[str, Nevra | None]] = {}
    for job in jobs:
        reasons |= {number: (job.text, None) for number in job.candidates if number in new and number not in reasons}
    queue = deque(sorted(reasons))
    while queue:
        solvable = new[queue.popleft()]
        for key in (solv.SOLVABLE_REQUIRES, solv.SOLVABLE_RECOMMENDS):
            for dep in solvable.lookup_deparray(key):
                for provider in pool.native.whatprovides(dep):
                    if provider.id in new and provider.id not in reasons:
                        reasons[provider.id] = (str(dep), Nevra.of(solvable))
                        queue.append(provider.id)
    # What no forward dependency names came by a conditional or a reverse one (supplements).
    return {number: reasons.get(number, ("a conditional dependency", None)) for number in new}


def _changes(transaction: Any) -> tuple[tuple[Nevra, ...], tuple[Nevra, ...]]:
    """The host's packages that are replaced by another version, and those that go."""
    upgraded: list[Nevra] = []
    removed: list[Nevra] = []
    names = {solvable.name for solvable in transaction.newsolvables()}
    for step in transaction.steps():
        if step.isinstalled():
            (upgraded if step.name in names else removed).append(Nevra.of(step))
    return tuple(sorted(upgraded, key=lambda one: one.key)), tuple(sorted(removed, key=lambda one: one.key))


def _resolved(solvable: Any, requested: bool, need: str, needed_by: Nevra | None) -> ResolvedPackage:
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
    return ResolvedPackage(nevra, solvable.repo.name, location, digest, size, requested, need, needed_by)
