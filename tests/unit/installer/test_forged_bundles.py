"""Bundles that somebody changed, as an install meets them: refused by name, and the host is as it was."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from installer.keyring import HostTrust
from payload.archive import open_bundle
from payload.digest import digest_bytes
from payload.errors import IntegrityError, SealiftError, TrustError
from payload.format import TRAILER_SIZE, Trailer
from payload.signing import PrivateKey
from payload.strict import document
from payload.trust import Keyring
from payload.version import Version
from tests.paths import CHECKOUT
from tests.unit.installer.lab import Lab
from tests.unit.payload.mutations import EXAMPLES, changed, changes, index_document, resigned

STRANGER = PrivateKey.generate("stranger")


@dataclass(frozen=True, slots=True)
class Parts:
    """The end of a bundle, to be put together in another way."""

    body: bytes
    index: bytes
    signatures: bytes
    trailer: Trailer

    @classmethod
    def of(cls, content: bytes) -> Parts:
        trailer = Trailer.unpack(content[-TRAILER_SIZE:], len(content))
        at, end = trailer.index_offset, trailer.signatures_offset
        return cls(content[:at], content[at:end], content[end:-TRAILER_SIZE], trailer)

    def joined(self) -> bytes:
        """The file, with a trailer that fits."""
        size = len(self.body) + len(self.index) + len(self.signatures) + TRAILER_SIZE
        trailer = replace(
            self.trailer,
            file_size=size,
            index_size=len(self.index),
            signatures_size=len(self.signatures),
            index_digest=digest_bytes(self.index),
        )
        return self.body + self.index + self.signatures + trailer.pack()


@dataclass(frozen=True, slots=True)
class Case:
    """A host, the content of a good bundle for it, and another good bundle by the same vendor."""

    lab: Lab
    good: bytes
    other: bytes
    key: PrivateKey


def signatures_stripped(case: Case) -> bytes:
    return replace(Parts.of(case.good), signatures=b"[]").joined()


def index_of_another(case: Case) -> bytes:
    """Its signatures stay."""
    return replace(Parts.of(case.good), index=Parts.of(case.other).index).joined()


def index_and_signatures_of_another(case: Case) -> bytes:
    return replace(Parts.of(case.other), body=Parts.of(case.good).body).joined()


def signed_by_a_stranger(case: Case) -> bytes:
    return resigned(case.good, index_document(case.good), STRANGER)


def keyring_of_a_stranger(case: Case) -> bytes:
    ring = document(Keyring(version=2, keys=(STRANGER.public,)), defaults=True)
    return resigned(case.good, index_document(case.good) | {"keyring": ring}, STRANGER)


def lock_malformed(case: Case) -> bytes:
    """By who holds the vendor's key: a check goes by the index only, an install by the lock too."""
    document = index_document(case.good)
    return resigned(case.good, document | {"lock": document["lock"] | {"revision": 0}}, case.key)


def no_key_on_the_host(case: Case) -> bytes:
    shutil.rmtree(case.lab.root / "etc/app")
    return case.good


def another_key_on_the_host(case: Case) -> bytes:
    (case.lab.root / "etc/app/trusted-keys.d/vendor.pub").write_text(STRANGER.public.to_text())
    return case.good


def older_than_what_the_host_had(case: Case) -> bytes:
    keyring = open_bundle(case.lab.bundles["1.0.0"]).claimed.keyring
    trust = HostTrust(keyring=keyring, version=Version("1.0.1"), created=1)
    case.lab.layout.trust_file.parent.mkdir(parents=True, mode=0o700)
    case.lab.layout.trust_file.write_text(trust.to_text())
    return case.good


def end_cut_off(case: Case) -> bytes:
    return case.good[:-1]


def byte_of_a_file_changed(case: Case) -> bytes:
    at = case.good.index(b"QFI\xfb") + 50
    return case.good[:at] + b"\1" + case.good[at + 1 :]


FORGERIES: dict[Callable[[Case], bytes], str] = {
    signatures_stripped: "its signatures are stripped",
    index_of_another: "it has the index of another genuine bundle",
    index_and_signatures_of_another: "it has the index of another genuine bundle, with that one's signatures",
    signed_by_a_stranger: "it is signed by another key",
    keyring_of_a_stranger: "it brings a newer keyring, which only that one's keys signed",
    another_key_on_the_host: "the host trusts another key",
    no_key_on_the_host: "the host trusts no key, and nobody can be asked",
    older_than_what_the_host_had: "it is genuine, and older than one that the host took",
    end_cut_off: "its end is cut off",
    byte_of_a_file_changed: "a byte is changed",
    lock_malformed: "its manifest or lock is malformed, though the vendor signed it",
}
"""What is done, and how docs/trust.md calls it."""


def documented() -> dict[str, tuple[int, str]]:
    """The table of docs/trust.md: exit code and code of each refusal."""
    text = (CHECKOUT / "docs/trust.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([0-9]+) \| `([a-z-]+)` \|$", text, re.MULTILINE)
    return {what: (int(number), code) for what, number, code in rows}


def refusal(lab: Lab, content: bytes) -> SealiftError:
    """What an install says to that file; the host is as it was before."""
    before = tree(lab)
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(content)
        file.flush()
        lab.bundles = lab.bundles | {"forged": Path(file.name)}
        with pytest.raises((IntegrityError, TrustError)) as caught:
            lab.run("forged")
    assert tree(lab) == before
    return caught.value


def tree(lab: Lab) -> dict[str, str]:
    """The host's files; the installer's own folder for journals may come to be."""
    return {name: what for name, what in lab.tree().items() if (name, what) not in _JOURNALS}


_JOURNALS = {(name, "folder") for name in ("var", "var/lib", "var/lib/app", "var/lib/app/installer", "var/log")}


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forgery_is_refused_as_documented(forge: Callable[[Case], bytes], lab: Lab, key: PrivateKey) -> None:
    good, other = (lab.bundles[version].read_bytes() for version in ("1.0.0", "1.1.0"))
    case = Case(lab, good, other, key)
    said = refusal(lab, forge(case))
    assert (said.exit_code, said.code) == documented()[FORGERIES[forge]]
    assert said.remedy, said


def test_every_refusal_of_the_documentation_is_tried() -> None:
    assert set(documented()) == set(FORGERIES.values())


@settings(max_examples=EXAMPLES // 2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_changed_bundle_leaves_anything_of_itself(lab: Lab, data: st.DataObject) -> None:
    """Wherever it was changed: what was written before that was noticed is gone again."""
    index, content = open_bundle(lab.bundles["1.0.0"]).claimed, lab.bundles["1.0.0"].read_bytes()
    places = [index.runtime.offset, *(blob.offset for blob in index.blobs)]
    forged = changed(content, data.draw(changes(len(content), places)))
    assume(forged != content)
    refusal(lab, forged)


@pytest.mark.parametrize("entry", range(7))
def test_a_damaged_file_of_each_kind_leaves_nothing_of_the_others(lab: Lab, entry: int) -> None:
    index, content = open_bundle(lab.bundles["1.0.0"]).claimed, bytearray(lab.bundles["1.0.0"].read_bytes())
    blob = next(blob for blob in index.blobs if blob.digest == index.entries[entry].blob)
    content[blob.offset + blob.stored_size // 2] ^= 4
    said = refusal(lab, bytes(content))
    assert index.entries[entry].path in said.details
