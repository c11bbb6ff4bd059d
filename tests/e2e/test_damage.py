"""Damaged and forged bundles are refused, by name of what is broken, before the host is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from payload.model import Index
from payload.signing import PrivateKey
from payload.trust import Keyring
from tests.e2e.conftest import Bundles
from tests.e2e.forge import Anatomy, Change
from tests.e2e.product import database
from tests.lab import Host, Lab, Snapshot

WHOLE, BAD = "/root/sealift-installer-1.1.0.bin", "/root/bad.bin"
QUICK = ("/etc", "/opt", "/var/lib", "/var/log", "/root", "/usr/local")
ALL = (*QUICK, "/usr")
NOT_OURS = (
    *(WHOLE, BAD, "/root/sealift-installer-1.0.0.bin", "/var/log/journal", "/var/lib/systemd", "/root/.cache"),
    *("/var/lib/dnf/history.sqlite-shm", "/var/lib/dnf/history.sqlite-wal"),  # SQLite's, where dnf only reads
)
"""The bundles themselves, and what a running system writes by itself."""
STRANGER = PrivateKey.generate("somebody else")


@pytest.fixture(scope="module")
def anatomy(bundles: Bundles) -> Anatomy:
    return Anatomy.of(bundles["1.1.0"])


@dataclass
class Fresh:
    """A host on which nothing may change, and what it was at first."""

    host: Host
    quick: dict[str, str]
    all: dict[str, str]
    packages: frozenset[str]

    def refuse(self, change: Change | None, *words: str) -> tuple[int, str]:
        """Run the changed bundle (None: as it was changed before); returns exit code and message, when the host is
        what it was."""
        if change is not None:
            change.make(self.host, WHOLE, BAD)
        done = self.host.run(["bash", BAD, *words], check=False)
        assert self.host.tree(QUICK, without=NOT_OURS) == self.quick
        assert done.stdout == ""
        return done.returncode, done.stderr


@pytest.fixture(scope="module")
def fresh(lab: Lab, provided: Snapshot) -> Iterator[Fresh]:
    host = lab.boot("damage", snapshot=provided)
    host.sh("systemctl is-system-running --wait || true")
    quick, everything = host.tree(QUICK, without=NOT_OURS), host.tree(ALL, without=NOT_OURS)
    yield Fresh(host, quick, everything, host.rpm_qa())
    lab.drop(host)


@pytest.mark.parametrize(
    "member",
    [
        "repository/Packages/",
        "repository/repodata/",
        "wheels/server/",
        "agents/console/",
        "agents/host/",
        "images/trial.qcow2",
        "templates/units/",
        "templates/config/",
        "tools/pip-",
        "keys/",
        "lock.json",
    ],
)
def test_a_flipped_byte_of_a_member(fresh: Fresh, anatomy: Anatomy, member: str) -> None:
    offset, path = anatomy.inside(member)
    code, said = fresh.refuse(Change(flips=(offset,)), "-o", "-y")
    component = next(entry.component for entry in anatomy.index.entries if entry.path == path)
    assert code == 10, said
    assert f"{component}: {path}" in said


def test_a_flipped_byte_of_every_other_part(fresh: Fresh, anatomy: Anatomy) -> None:
    trailer, runtime = anatomy.trailer, anatomy.index.runtime
    size = trailer.file_size
    parts = {
        "stub": (600, 3000, 30_000),
        "runtime": (runtime.offset + 5, runtime.offset + runtime.size // 2, runtime.offset + runtime.size - 1),
        "padding": (anatomy.gap(),),
        "index": (trailer.index_offset, trailer.index_offset + trailer.index_size // 2),
        "signature": (trailer.signatures_offset + 8, trailer.signatures_offset + trailer.signatures_size - 20),
        "trailer": (size - 128, size - 120, size - 100, size - 45, size - 1),
    }
    for part, offsets in parts.items():
        for offset in offsets:
            code, said = fresh.refuse(Change(flips=(offset,)), "-o", "-y")
            assert code in ((10, 11) if part == "signature" else (10,)), (part, offset, said)
            assert part in said, (part, offset, said)


def test_all_damage_is_listed_at_once(fresh: Fresh, anatomy: Anatomy) -> None:
    broken = dict(anatomy.inside(member)[::-1] for member in ("repository/Packages/", "images/trial", "lock.json"))
    Change(flips=tuple(broken.values())).make(fresh.host, WHOLE, BAD)
    for words in (["-o"], ["--check"]):
        code, said = fresh.refuse(None, *words)
        assert code == 10
        assert all(f"{path} at byte " in said for path in broken)


@pytest.mark.parametrize("left", ["half", "without its last byte", "without its trailer", "stub and runtime"])
def test_a_truncated_file(fresh: Fresh, anatomy: Anatomy, left: str) -> None:
    size, runtime = anatomy.trailer.file_size, anatomy.index.runtime
    cut = {
        "half": size // 2,
        "without its last byte": size - 1,
        "without its trailer": size - 128,
        "stub and runtime": runtime.offset + runtime.size,
    }[left]
    code, said = fresh.refuse(Change(cut=cut), "-o", "-y")
    assert code == 10
    assert "truncated" in said and "trailer" in said


def test_a_file_cut_within_its_runtime(fresh: Fresh) -> None:
    code, said = fresh.refuse(Change(cut=1_000_000), "-o", "-y")
    assert code == 10
    assert "runtime" in said


@pytest.mark.parametrize("tail", [b"\n", b"x" * 5000])
def test_appended_bytes(fresh: Fresh, tail: bytes) -> None:
    code, said = fresh.refuse(Change(tail=tail), "-o", "-y")
    assert code == 10
    assert "trailer" in said


def renamed(index: Index) -> Index:
    """An index that says something else."""
    product = index.manifest.product.model_copy(update={"title": "Something else"})
    return replace(index, manifest_table=index.manifest.model_copy(update={"product": product}).to_table())


def with_own_key(index: Index) -> Index:
    """An index that brings the stranger's key along."""
    return replace(renamed(index), keyring=Keyring(keys=(STRANGER.public,)))


def test_a_foreign_signature(fresh: Fresh, anatomy: Anatomy) -> None:
    stranger = STRANGER.public.fingerprint
    for edit in (lambda index: index, with_own_key):
        anatomy.signed_by(STRANGER, edit=edit).make(fresh.host, WHOLE, BAD)
        for words in (["-o", "-y"], ["--extract", "/opt/there"]):
            code, said = fresh.refuse(None, *words)
            assert code == 11, said
            assert "[signature-untrusted]" in said and stranger in said


def test_damage_where_the_stub_checks_itself(fresh: Fresh) -> None:
    """Nothing can check the first lines before they run: whatever a shell makes of them, it must not go on."""
    for offset in range(11, 560, 61):
        code, said = fresh.refuse(Change(flips=(offset,)), "-o", "-y")
        assert code != 0, (offset, said)
        assert said, offset


def test_a_signature_that_claims_the_vendors_key(fresh: Fresh, anatomy: Anatomy, bundles: Bundles) -> None:
    vendor = PrivateKey.from_pem(bundles.key.read_bytes()).public.fingerprint
    code, said = fresh.refuse(anatomy.signed_by(STRANGER, claim=vendor, edit=renamed), "-o", "-y")
    assert code == 11
    assert "[signature-invalid]" in said and vendor in said


def test_the_vendor_signs_again_and_it_is_taken(fresh: Fresh, anatomy: Anatomy, bundles: Bundles) -> None:
    """The forgeries above are refused for who made them, not for how."""
    vendor = PrivateKey.from_pem(bundles.key.read_bytes())
    anatomy.signed_by(vendor, edit=renamed).make(fresh.host, WHOLE, BAD)
    assert "every file is intact" in fresh.host.run(["bash", BAD, "--check"]).stdout
    assert '"title": "Something else"' in fresh.host.run(["bash", BAD, "--info", "--json"]).stdout


def test_after_all_of_this_the_host_is_what_it_was(fresh: Fresh) -> None:
    assert fresh.host.tree(ALL, without=NOT_OURS) == fresh.all
    assert fresh.host.rpm_qa() == fresh.packages
    assert fresh.host.sh("ls -A /tmp /var/tmp /run | grep -i sealift || true") == ""


def test_an_installed_host_runs_on(running: Host, anatomy: Anatomy, bundles: Bundles) -> None:
    # A server that runs says every moment that it lives; the data is compared by its rows.
    without = [*NOT_OURS, *(f"/var/lib/sealift/sealift.db{suffix}" for suffix in ("", "-journal", "-wal", "-shm"))]
    before, data, packages = running.tree(ALL, without=without), database(running), running.rpm_qa()
    pid = running.sh("systemctl show -P MainPID sealift-server")
    offset, path = anatomy.inside("repository/Packages/")
    running.write("/root/stranger.pub", STRANGER.public.to_text())
    running.put(bundles.public_key, "/root/vendor.pub")
    cases = {
        10: (Change(flips=(offset,)), (), path),
        11: (anatomy.signed_by(STRANGER, edit=with_own_key), (), "[signature-untrusted]"),
    }
    for code, (change, words, said) in cases.items():
        change.make(running, WHOLE, BAD)
        done = running.run(["bash", BAD, "-u", "-y", *words], check=False)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    done = running.run(["bash", BAD, "-u", "-y", "--key", "/root/stranger.pub"], check=False)
    assert done.returncode == 11
    assert "[key-not-in-keyring]" in done.stderr and "/var/lib/sealift/installer/trust.json" in done.stderr
    done = running.run(["bash", BAD, "-u", "-y", "--key", "/root/vendor.pub"], check=False)
    assert (done.returncode, "[signature-untrusted]" in done.stderr) == (11, True)
    running.run(["rm", "/root/stranger.pub", "/root/vendor.pub"])
    assert running.tree(ALL, without=without) == before
    assert (database(running), running.rpm_qa()) == (data, packages)
    assert running.sh("systemctl show -P MainPID sealift-server") == pid


def test_a_host_without_keys_says_how_to_get_one(bare: Host, bundles: Bundles) -> None:
    bare.run(["rm", "-r", "/etc/sealift"])
    before = bare.tree(QUICK, without=NOT_OURS)
    fingerprint = PrivateKey.from_pem(bundles.key.read_bytes()).public.fingerprint
    for words in (["-o", "-y"], ["--check"], ["-o", "--preflight"]):
        done = bare.run(["bash", WHOLE, *words], check=False)
        assert done.returncode == 11
        assert "--key FILE.pub" in done.stderr and "trusted-keys.d" in done.stderr and fingerprint in done.stderr
    bare.write("/run/stranger.pub", STRANGER.public.to_text())
    done = bare.run(["bash", WHOLE, "-o", "--key", "/run/stranger.pub"], check=False)
    assert (done.returncode, "[signature-untrusted]" in done.stderr) == (11, True)
    bare.write("/run/broken.pub", "ssh-ed25519 AAAA\n")
    done = bare.run(["bash", WHOLE, "-o", "--key", "/run/broken.pub"], check=False)
    assert (done.returncode, "/run/broken.pub" in done.stderr) == (12, True)

    asked = bare.run(["bash", WHOLE, "-o"], tty=True, input="n\n", check=False)
    assert asked.returncode == 11
    assert fingerprint in asked.stdout and "Is it the same?" in asked.stdout
    asked = bare.run(["bash", WHOLE, "--check"], tty=True, input="y\n", check=False)
    assert asked.returncode == 0
    assert "confirmed on the terminal" in " ".join(asked.stdout.split())
    assert bare.tree(QUICK, without=NOT_OURS) == before, "looking at a bundle left something"

    bare.put(bundles.public_key, "/run/vendor.pub")
    bare.run(["bash", WHOLE, "-o", "-z", "--key", "/run/vendor.pub"])
    assert fingerprint in bare.run(["bash", WHOLE, "--info"]).stdout
    (pinned,) = json.loads(bare.read("/var/lib/sealift/installer/trust.json"))["keyring"]["keys"]
    assert pinned.split()[1] == bundles.public_key.read_text().split()[1]
    again = bare.run(["bash", WHOLE, "-o", "--key", "/run/stranger.pub"], check=False)
    assert (again.returncode, "[key-not-in-keyring]" in again.stderr) == (11, True)
