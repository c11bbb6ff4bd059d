"""Keys, signatures and keyrings; openssl is the second implementation."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from payload.errors import InputError, TrustError
from payload.trust import CONTEXT, Keyring, PrivateKey, PublicKey, Signature

KEY = PrivateKey.generate("release")


def test_a_signature_by_a_trusted_key_holds() -> None:
    other = PrivateKey.generate()
    assert Keyring((other.public, KEY.public)).verify(b"text", [KEY.sign(b"text")]) == KEY.public


def test_other_text_foreign_key_or_no_signature_do_not() -> None:
    ring = Keyring((KEY.public,))
    for signatures, code in (
        ([KEY.sign(b"other")], "signature-invalid"),
        ([PrivateKey.generate().sign(b"text")], "signature-untrusted"),
        ([], "signature-untrusted"),
    ):
        with pytest.raises(TrustError) as caught:
            ring.verify(b"text", signatures)
        assert caught.value.code == code


def test_a_signature_of_something_else_does_not_pass_for_a_bundles() -> None:
    raw = base64.b64encode(KEY._key.sign(b"text")).decode()
    assert not KEY.public.verify(b"text", Signature(key=KEY.public.fingerprint, signature=raw))


def test_openssl_agrees(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(KEY.to_pem())
    (tmp_path / "text").write_bytes(CONTEXT + b"text")
    command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "text"]
    made = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    assert base64.b64encode(made).decode() == KEY.sign(b"text").signature


def test_keys_survive_the_round_trip() -> None:
    assert PrivateKey.from_pem(KEY.to_pem()).public.raw == KEY.public.raw
    assert PublicKey.from_text(KEY.public.to_text()) == KEY.public
    assert KEY.public.fingerprint in repr(KEY)
    assert "PRIVATE" not in repr(KEY)


@pytest.mark.parametrize("text", ["", "ssh-ed25519 AAAA", "sealift-ed25519 !!!!", "sealift-ed25519 AAAA", "a\nb"])
def test_other_text_is_no_public_key(text: str) -> None:
    with pytest.raises(InputError, match="not a Sealift public key"):
        PublicKey.from_text(text)


def test_a_comment_cannot_hide_control_characters() -> None:
    line = KEY.public.to_text().replace("release", "re\x1b[2Jlease")
    assert PublicKey.from_text(line).comment == "re[2Jlease"


def test_other_pem_is_no_private_key() -> None:
    with pytest.raises(InputError):
        PrivateKey.from_pem(b"-----BEGIN NONSENSE-----")
