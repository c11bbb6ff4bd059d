"""Packages beside their peers, in the same run: `python -m tests.bench.mirror [--quick]` prints a table and JSON.

Each row names what is measured, our seconds, the peer's, and the ratio with its bound. Peers are the createrepo_c
command, `dnf install --assumeno`, dnf's `download_packages` (which is what `dnf reposync` calls), and dnf from file://.
Needs root, for install roots.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from payload.digest import digest_file
from payload.events import NullSink
from payload.store import Store
from repos.createrepo import create_repository, folder_fingerprint, is_current
from repos.serving import FolderFiles, serving
from repos.sync import Download, Fetcher
from tests.paths import CHECKOUT
from tests.unit.repos.packages import Spec, write_repository
from tests.unit.repos.server import Behaviour, serve

_SOLVE = """
import json, sys
from pathlib import Path
from payload.events import NullSink
from payload.manifest import Upstream
from payload.store import Store
from repos.closure import resolve_closure
from repos.metadata import load_metadata
from repos.sync import Fetcher
url, store, *wanted = sys.argv[1:]
upstream = Upstream(id="base", url=url, gpg_keys=("k",), signed_metadata=False)
metadata = load_metadata(upstream, [], Fetcher(Store(Path(store)), NullSink()))
print(json.dumps(sorted(str(package.nevra) for package in resolve_closure(wanted, [metadata]).packages)))
"""

_MAKE = "import sys, pathlib, repos.createrepo as c; c.create_repository(pathlib.Path(sys.argv[1]), revision=1)"
_MEMORY = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_REPOSYNC = """
import sys, dnf
url, cache = sys.argv[1:]
with dnf.Base() as base:
    conf = base.conf
    conf.cachedir, conf.persistdir, conf.logdir, conf.reposdir = cache, cache, cache, ["/nonexistent"]
    conf.substitutions["releasever"], conf.keepcache = "1", True
    base.repos.add_new_repo("base", conf, baseurl=[url])
    base.fill_sack(load_system_repo=False)
    packages = list(base.sack.query().available())
    base.download_packages(packages)
    assert packages
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement in `unit`. `bound` is the most that `ratio`, ours to the peer's, is to be; without a peer, the most
    that ours is. Without a bound it is reported only."""

    what: str
    ours: float
    peer: float | None
    bound: float | None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours if self.peer is None else self.ours / self.peer

    def line(self) -> str:
        peer = "" if self.peer is None else f"{self.peer:9.3f} {self.unit}"
        unit = self.unit if self.peer is None else "x"
        line = f"{self.what:<58} {self.ours:9.3f} {self.unit:<2} {peer:>12} {self.ratio:7.2f} {unit}"
        if self.bound is None:
            return line
        return f"{line} (<= {self.bound:g}) {'ok' if self.ratio <= self.bound else 'MISSED'}"


def timed(work: Callable[[], object], rounds: int = 3, *, before: Callable[[], object] = lambda: None) -> float:
    """The best of some rounds, in seconds."""
    best = float("inf")
    for _ in range(rounds):
        before()
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best


def call(*argv: str | Path, home: Path | None = None, codes: Sequence[int] = (0,)) -> str:
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "LC_ALL": "C.UTF-8"} | ({"HOME": str(home)} if home else {})
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, env=env, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def memory(*argv: str | Path) -> float:
    """The most memory that one process of a command has at once, in MB."""
    return int(call(sys.executable, "-c", _MEMORY, *argv)) / 1000


def build_packages(folder: Path, count: int, size: int) -> Path:
    """`count` real RPMs of about `size` bytes each, from one spec file with as many subpackages."""
    folder.mkdir(parents=True)
    content = random.Random(1)
    payload = folder / "payload"
    payload.mkdir()
    parts = ["Name: bench\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\nx\n"]
    install = ["%install", "mkdir -p %{buildroot}/opt/bench"]
    for number in range(count):
        (payload / f"f{number}").write_bytes(content.randbytes(size))
        parts.append(f"%package p{number}\nSummary: x\n%description p{number}\nx\n%files p{number}")
        parts.append(f"/opt/bench/f{number}\n")
    install.append(f"cp {payload}/* %{{buildroot}}/opt/bench/")
    (folder / "bench.spec").write_text("\n".join([*parts, *install, ""]))
    defines = (f"_topdir {folder}/top", f"_rpmdir {folder}/rpms", "_buildshell /bin/bash", "_binary_payload w0.gzdio",
               "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "__os_install_post %{nil}")  # fmt: skip
    call("rpmbuild", "-bb", "--quiet", *(word for one in defines for word in ("--define", one)), folder / "bench.spec")
    shutil.rmtree(payload)
    return folder / "rpms"


def metadata_rows(work: Path, count: int) -> Iterator[Row]:
    rpms = build_packages(work / f"metadata-{count}", count, 20_000)
    fingerprint = folder_fingerprint(rpms)
    # Both make what the other makes: gzip metadata without databases.
    words = ("createrepo_c", "--quiet", "--no-database", "--general-compress-type=gz", "--changelog-limit=10")
    peer = timed(lambda: call(*words, rpms))
    ours = timed(lambda: create_repository(rpms, revision=1, fingerprint=fingerprint))
    yield Row(f"metadata of {count} RPMs, beside createrepo_c", ours, peer, 1.1)
    most = memory(sys.executable, "-c", _MAKE, rpms), memory(*words, rpms)
    yield Row(f"metadata of {count} RPMs, memory of a process", *most, None, "MB")
    create_repository(rpms, revision=1, fingerprint=fingerprint)
    if not is_current(rpms, folder_fingerprint(rpms)):
        raise SystemExit("an unchanged folder is taken for a changed one")
    unchanged = timed(lambda: is_current(rpms, folder_fingerprint(rpms)))
    yield Row(f"metadata of {count} RPMs, nothing changed", unchanged, None, 0.1)


def big_repository(folder: Path, count: int) -> Path:
    """Packages that need up to four older ones, some by capability or by file, as a distribution has them."""
    dice = random.Random(7)
    specs = []
    for number in range(count):
        older = max(0, number - 2000)
        needs = [f"p{dice.randrange(older, number)}" for _ in range(dice.randrange(3) if number else 0)]
        if number and dice.random() < 0.2:
            needs.append(f"lib{dice.randrange(number)}.so()(64bit)")
        if number and dice.random() < 0.05:
            needs.append(f"/usr/bin/p{dice.randrange(number)}")
        specs.append(
            Spec(
                f"p{number}",
                "1.2",
                arch="x86_64",
                requires=tuple(dict.fromkeys(needs)),
                provides=(f"lib{number}.so()(64bit)", f"config(p{number}) = 1.2-1"),
                files=(f"/usr/bin/p{number}", f"/usr/share/doc/p{number}/README", f"/usr/lib64/lib{number}.so"),
            )
        )
    return write_repository(folder, specs)


def closure_rows(work: Path, count: int) -> Iterator[Row]:
    repository = big_repository(work / "big", count)
    wanted = [f"p{number}" for number in random.Random(3).sample(range(count // 2, count), 20)]
    root, store, home = work / "root", work / "store", rpm_home(work)
    settings = ("reposdir=/nonexistent", "install_weak_deps=0", "best=0", f"cachedir={root}/cache", "pluginpath=")
    argv: list[str | Path] = ["dnf", "--installroot", root, "--releasever=1", "--forcearch=x86_64"]
    argv += ["--noplugins", "--assumeno", "--nogpgcheck"]
    argv += [word for setting in settings for word in ("--setopt", setting)]
    argv += [f"--repofrompath=base,{repository.as_uri()}", "--disablerepo=*", "--enablerepo=base", "install", *wanted]
    sets: dict[str, set[str]] = {}

    def dnf() -> None:
        rows = [line.split() for line in call(*argv, home=home, codes=(0, 1)).splitlines()]
        sets["dnf"] = {row[0] for row in rows if len(row) >= 5 and row[3] == "base"}

    def ours() -> None:
        found = json.loads(call(sys.executable, "-c", _SOLVE, repository.as_uri(), store, *wanted))
        sets["ours"] = {nevra.rsplit("-", 2)[0] for nevra in found}

    def remove(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    cold = timed(ours, 2, before=lambda: remove(store)), timed(dnf, 2, before=lambda: remove(root))
    yield Row(f"closure of 20 in {count} packages, cold, beside dnf", *cold, 1.0)
    yield Row(f"closure of 20 in {count} packages, warm, beside dnf", timed(ours), timed(dnf), 0.25)
    if sets["ours"] != sets["dnf"] or not sets["ours"]:
        raise SystemExit(f"the sets differ: {sets['ours'] ^ sets['dnf']}")


def rpm_home(work: Path) -> Path:
    """A home whose rpm keeps its database where rpm's own default is; Debian's would be in the home itself."""
    home = work / "home"
    home.mkdir(exist_ok=True)
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    return home


def sync_rows(work: Path, count: int) -> Iterator[Row]:
    rpms = build_packages(work / "sync", count, 60_000)
    create_repository(rpms, revision=1)
    wanted = [(path.name, digest_file(path), path.stat().st_size) for path in sorted(rpms.glob("*.rpm"))]
    store, peer = work / "sync-store", work / "reposync-cache"

    def fetch(url: str) -> None:
        downloads = [Download((f"{url}/{name}",), digest, size) for name, digest, size in wanted]
        Fetcher(Store(store), NullSink()).fetch(downloads, stage="s", text="sync")

    def reposync(url: str) -> None:
        call("/usr/bin/python3", "-c", _REPOSYNC, url, work / "reposync-cache", home=rpm_home(work))

    def fresh() -> None:
        for folder in (store, peer):
            shutil.rmtree(folder, ignore_errors=True)

    with serve(rpms, Behaviour(delay=0.03)) as url:
        ours = timed(lambda: fetch(url), 2, before=fresh)
        theirs = timed(lambda: reposync(url), 2, before=fresh)
    if len(list(peer.rglob("*.rpm"))) != count:
        raise SystemExit("reposync did not fetch all")
    yield Row(f"sync of {count} RPMs over 30 ms, beside what dnf reposync calls", ours, theirs, 1 / 1.5)

    behaviour = Behaviour(delay=0.03, drop=0.05)
    with serve(rpms, behaviour) as url:
        dropped = timed(lambda: fetch(url), 1, before=fresh)
    asked = [(path, ranged) for path, ranged in behaviour.requests]
    if len(asked) != len(set(asked)) or not all(Store(store).has(digest) for _, digest, _ in wanted):
        raise SystemExit("something was fetched twice, or not at all")
    yield Row(f"sync of {count} RPMs, 5 % of connections dropped, beside none", dropped, ours, 2.0)


def loopback_rows(work: Path, count: int) -> Iterator[Row]:
    rpms = build_packages(work / "loopback", count, 200_000)
    create_repository(rpms, revision=1)
    names = [f"bench-p{number}" for number in range(count)]

    def install(url: str) -> None:
        root = work / "installed"
        words = ("--setopt=reposdir=/nonexistent", f"--setopt=cachedir={root}/cache", "--nogpgcheck", "--noplugins")
        source = (f"--repofrompath=base,{url}", "--disablerepo=*", "--enablerepo=base", "--releasever=1", "-y")
        call("dnf", "--installroot", root, *words, *source, "install", *names, home=rpm_home(work))

    def fresh() -> None:
        shutil.rmtree(work / "installed", ignore_errors=True)

    with serving(FolderFiles(rpms)) as url:
        served = timed(lambda: install(url), 3, before=fresh)
    yield Row(
        f"dnf installs {count} RPMs from loopback, beside file://",
        served,
        timed(lambda: install(rpms.as_uri()), 3, before=fresh),
        1.2,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it works, not how fast it is")
    quick = parser.parse_args().quick
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir="/var/tmp") as name:
        work = Path(name)
        for made in (
            metadata_rows(work, 30 if quick else 300),
            metadata_rows(work, 60 if quick else 5000),
            closure_rows(work, 3_000 if quick else 60_000),
            sync_rows(work, 30 if quick else 300),
            loopback_rows(work, 5 if quick else 60),
        ):
            for row in made:
                rows.append(row)
                print(row.line(), flush=True)
    print(json.dumps([{**asdict(row), "ratio": round(row.ratio, 3)} for row in rows]))


if __name__ == "__main__":
    main()
