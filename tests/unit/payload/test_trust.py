"""Keys, signatures and keyrings; openssl is the second implementation."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from payload.errors import InputError, TrustError
from payload.signing import PrivateKey
from payload.strict import MalformedError, load
from payload.trust import CONTEXT, Keyring, PublicKey, Signature, accept, read_keyring

KEY, SECOND, THIRD, OUTSIDE = map(PrivateKey.generate, ("release", "second", "third", "outside"))


def test_a_signature_by_a_trusted_key_holds() -> None:
    other = PrivateKey.generate()
    assert Keyring(keys=(other.public, KEY.public)).verify(b"text", [KEY.sign(b"text")]) == (KEY.public,)


def test_other_text_foreign_key_or_no_signature_do_not() -> None:
    ring = Keyring(keys=(KEY.public,))
    for signatures, code in (
        ([KEY.sign(b"other")], "signature-invalid"),
        ([PrivateKey.generate().sign(b"text")], "signature-untrusted"),
        ([], "signature-untrusted"),
    ):
        with pytest.raises(TrustError) as caught:
            ring.verify(b"text", signatures)
        assert caught.value.code == code


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(TrustError) as caught:
        act()
    return caught.value.code


def test_as_many_as_the_threshold_says_must_sign() -> None:
    ring = Keyring(threshold=2, keys=(KEY.public, SECOND.public, THIRD.public))
    assert ring.verify(b"text", [THIRD.sign(b"text"), KEY.sign(b"text")]) == (KEY.public, THIRD.public)
    one = KEY.sign(b"text")
    assert refusal(lambda: ring.verify(b"text", [one, one])) == "signatures-too-few"
    assert refusal(lambda: ring.verify(b"text", [one, OUTSIDE.sign(b"text")])) == "signatures-too-few"
    assert refusal(lambda: ring.verify(b"text", [one, SECOND.sign(b"other")])) == "signature-invalid"


def test_a_keyring_that_cannot_be_met_is_none() -> None:
    with pytest.raises(MalformedError, match="never"):
        Keyring(threshold=2, keys=(KEY.public,))
    with pytest.raises(MalformedError, match="twice"):
        Keyring(threshold=2, keys=(KEY.public, PublicKey(KEY.public.raw, "the same, by another name")))


def test_rotation() -> None:
    """A newer keyring needs enough of the old keys, and enough of its own."""
    held = Keyring(threshold=2, keys=(KEY.public, SECOND.public))
    newer = Keyring(version=2, threshold=2, keys=(SECOND.public, THIRD.public))

    def taken(declared: Keyring, *keys: PrivateKey) -> Keyring:
        return accept(held, declared, b"text", [key.sign(b"text") for key in keys]).keyring

    assert taken(newer, KEY, SECOND, THIRD) == newer
    assert refusal(lambda: taken(newer, SECOND, THIRD)) == "signatures-too-few"
    assert refusal(lambda: taken(newer, THIRD, OUTSIDE)) == "signature-untrusted"
    assert refusal(lambda: taken(newer, KEY, SECOND)) == "keyring-unproven"
    assert taken(held, KEY, SECOND) == held
    older = replace(held, version=0, threshold=1)
    assert taken(older, KEY, SECOND) == held, "an older bundle does not bring its keyring back"
    for change in ({"threshold": 1}, {"expires": 5}, {"keys": (KEY.public, THIRD.public)}):
        assert refusal(lambda c=change: taken(replace(held, **c), KEY, SECOND)) == "keyring-conflict"  # type: ignore[misc]


def test_a_keyring_survives_the_round_trip() -> None:
    ring = Keyring(version=2, threshold=1, keys=(KEY.public,), expires=99)
    assert read_keyring(load(ring.to_text().encode())) == ring
    with pytest.raises(MalformedError):
        read_keyring(load(b'{"keys": ["ssh-ed25519 AAAA"]}'))


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
