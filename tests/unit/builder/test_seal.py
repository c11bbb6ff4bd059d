"""Signing away from the bundle, with the commands that people call."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from builder import seal
from builder.cli import app
from builder.sign import create_keypair, load_private_key, public_path
from payload.archive import open_bundle
from payload.errors import ExitCode, SealiftError
from payload.signing import PrivateKey
from payload.trust import Keyring, PublicKey, read_keyring
from tests.unit.payload.bundles import build

RUN = CliRunner()


def sealift(*words: object) -> str:
    done = RUN.invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words: object) -> tuple[int, str]:
    done = RUN.invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


class Vendor:
    """Two keys of which both must sign, and a bundle that nobody signed yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pems = [folder / "alice.pem", folder / "bob.pem"]
        for pem in self.pems:
            create_keypair(pem, pem.stem)
        self.ring = Keyring(threshold=2, keys=tuple(load_private_key(pem).public for pem in self.pems))
        self.bundle = build(folder, keyring=self.ring)
        self.request = folder / "app.request"

    def sign(self, pem: Path) -> Path:
        sig = self.folder / f"{pem.stem}.sig"
        sealift("sign", self.request, "--key", pem, "-o", sig, "-y")
        return sig


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    vendor = Vendor(tmp_path)
    sealift("sign-request", vendor.bundle, "-o", vendor.request)
    return vendor


def code_of(act: object) -> str:
    with pytest.raises(SealiftError) as caught:
        act()  # type: ignore[operator]
    return caught.value.code


def test_two_people_sign_one_after_the_other(vendor: Vendor) -> None:
    alice, bob = map(vendor.sign, vendor.pems)
    before = vendor.bundle.stat().st_ino
    assert "1 more must sign" in sealift("attach-signature", vendor.bundle, alice)
    assert code_of(lambda: open_bundle(vendor.bundle).verify(vendor.ring)) == "signatures-too-few"
    assert "more must sign" not in sealift("attach-signature", vendor.bundle, bob)
    assert open_bundle(vendor.bundle).verify(vendor.ring).signers == vendor.ring.keys
    assert vendor.bundle.stat().st_ino == before, "the bundle was copied"
    assert vendor.request.stat().st_size < 4096
    assert sorted(path.name for path in vendor.folder.iterdir() if path.name.startswith(".")) == []


def test_the_order_of_signing_leaves_no_trace(vendor: Vendor) -> None:
    alice, bob = map(vendor.sign, vendor.pems)
    other = vendor.folder / "other.bin"
    other.write_bytes(vendor.bundle.read_bytes())
    sealift("attach-signature", vendor.bundle, bob, alice)
    sealift("attach-signature", other, alice)
    sealift("attach-signature", other, bob, bob)
    assert other.read_bytes() == vendor.bundle.read_bytes()


def test_who_signs_sees_what(vendor: Vendor) -> None:
    done = RUN.invoke(app, ["sign", str(vendor.request), "--key", str(vendor.pems[0])], input="n\n")
    assert done.exit_code == ExitCode.USAGE
    assert all(word in done.output for word in ("app 1.0.0", "2 of 2 keys", open_bundle(vendor.bundle).digest))
    assert not vendor.request.with_suffix(".sig").exists()


def test_an_altered_request_is_not_signed(vendor: Vendor) -> None:
    text = vendor.request.read_text()
    vendor.request.write_text(text.replace('"version": "1.0.0"', '"version": "9.0.0"'))
    code, said = refused("sign", vendor.request, "--key", vendor.pems[0], "-y")
    assert (code, "changed after it was made" in said) == (ExitCode.INPUT, True)


def test_a_signature_of_a_request_that_lies_fits_nothing(vendor: Vendor) -> None:
    """Whoever alters the check as well gets a signature, which no bundle takes."""
    request = seal.read_request(vendor.request)
    lie = replace(request.statement, product="other")
    seal.write_request(request.model_copy(update={"statement": lie, "check": seal.digest_of(lie)}), vendor.request)
    code, said = refused("attach-signature", vendor.bundle, vendor.sign(vendor.pems[0]))
    assert (code, "signature-invalid" in said) == (ExitCode.TRUST, True)


def test_a_signature_by_an_old_key_needs_that_key(vendor: Vendor) -> None:
    old = vendor.folder / "old.pem"
    create_keypair(old, "retired")
    signature = vendor.sign(old)
    code, said = refused("attach-signature", vendor.bundle, signature)
    assert (code, "--key OLD.pub" in said) == (ExitCode.TRUST, True)
    sealift("attach-signature", vendor.bundle, signature, "--key", public_path(old))
    retired = Keyring(version=0, keys=(load_private_key(old).public,))
    assert code_of(lambda: open_bundle(vendor.bundle).verify(retired)) == "keyring-unproven"


def test_signatures_stripped_after_they_were_attached(vendor: Vendor) -> None:
    sealift("attach-signature", vendor.bundle, *map(vendor.sign, vendor.pems))
    bundle = open_bundle(vendor.bundle)
    seal.write_end_of(vendor.bundle, bundle.trailer, b"[]")
    assert code_of(lambda: open_bundle(vendor.bundle).verify(vendor.ring)) == "signature-untrusted"


def test_a_cut_off_attempt_is_put_right(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = vendor.bundle.read_bytes()
    signature = vendor.sign(vendor.pems[0])

    def dies(fd: int, size: int) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", dies)
        with pytest.raises(OSError, match="power"):
            seal.write_end_of(vendor.bundle, open_bundle(vendor.bundle).trailer, b"[]" * 40)
    assert vendor.bundle.read_bytes() != whole
    sealift("attach-signature", vendor.bundle, signature)
    assert open_bundle(vendor.bundle).signers() == (vendor.ring.keys[0].fingerprint,)


def test_something_else_is_no_request_and_no_signature(vendor: Vendor) -> None:
    assert refused("sign", vendor.bundle, "--key", vendor.pems[0], "-y")[0] == ExitCode.INPUT
    assert refused("attach-signature", vendor.bundle, vendor.request)[0] == ExitCode.INPUT


def test_the_keyring_to_give_away(vendor: Vendor) -> None:
    assert read_keyring(json.loads(sealift("keyring", vendor.bundle))) == vendor.ring
    values = json.loads(sealift("keyring", vendor.bundle, "--json"))
    assert len(values["keyring"]["keys"]) == 2


def test_a_stranger_may_ask_but_not_be_counted(vendor: Vendor) -> None:
    stranger = PrivateKey.generate()
    forged = stranger.sign(open_bundle(vendor.bundle).statement.message())
    alice = vendor.ring.keys[0]
    assert isinstance(alice, PublicKey)
    path = vendor.folder / "forged.sig"
    seal.write_signatures([replace(forged, key=alice.fingerprint)], path)
    assert refused("attach-signature", vendor.bundle, path)[0] == ExitCode.TRUST
