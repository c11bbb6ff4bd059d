"""Only what the manifest's keys signed passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.errors import InputError, TrustError
from repos.package_signatures import verify_packages
from repos.signatures import verify_metadata
from tests.unit.repos.conftest import Signer


@pytest.fixture
def signed(signers: tuple[Signer, Signer], tmp_path: Path) -> tuple[bytes, bytes]:
    path = tmp_path / "repomd.xml"
    path.write_bytes(b"<repomd/>\n")
    return path.read_bytes(), signers[0].sign_file(path).read_bytes()


def test_good_metadata_passes(signed: tuple[bytes, bytes], signers: tuple[Signer, Signer]) -> None:
    verify_metadata(*signed, [signers[0].public], where="here")
    verify_metadata(*signed, [signers[1].public, signers[0].public], where="here")


def test_two_keys_in_one_file(signed: tuple[bytes, bytes], signers: tuple[Signer, Signer], tmp_path: Path) -> None:
    both = tmp_path / "both.asc"
    both.write_text("A comment\n" + signers[1].public.read_text() + "\n" + signers[0].public.read_text())
    verify_metadata(*signed, [both], where="here")


def test_changed_metadata_is_refused(signed: tuple[bytes, bytes], signers: tuple[Signer, Signer]) -> None:
    with pytest.raises(TrustError) as caught:
        verify_metadata(signed[0] + b" ", signed[1], [signers[0].public], where="https://there/repomd.xml")
    assert caught.value.code == "metadata-signature"
    assert "https://there/repomd.xml" in caught.value.brief


def test_a_strangers_signature_is_refused(signed: tuple[bytes, bytes], signers: tuple[Signer, Signer]) -> None:
    with pytest.raises(TrustError):
        verify_metadata(*signed, [signers[1].public], where="here")


@pytest.mark.parametrize("signature", [b"", b"rubbish"])
def test_no_signature_is_refused(signature: bytes, signers: tuple[Signer, Signer]) -> None:
    with pytest.raises(TrustError):
        verify_metadata(b"<repomd/>", signature, [signers[0].public], where="here")


def test_a_key_file_without_a_key(signed: tuple[bytes, bytes], tmp_path: Path) -> None:
    (tmp_path / "key.asc").write_text("no key\n")
    with pytest.raises(InputError) as caught:
        verify_metadata(*signed, [tmp_path / "key.asc"], where="here")
    assert "key.asc" in caught.value.brief


def test_signed_packages_pass(rpms: dict[str, Path], signers: tuple[Signer, Signer]) -> None:
    verify_packages([rpms["tool"], rpms["library"]], [signers[0].public])
    verify_packages([], [signers[0].public])


def test_unsigned_and_foreign_packages_are_all_named(rpms: dict[str, Path], signers: tuple[Signer, Signer]) -> None:
    with pytest.raises(TrustError) as caught:
        verify_packages(list(rpms.values()), [signers[0].public])
    named = {line.partition(": ")[0] for line in caught.value.details.splitlines()}
    assert named == {f"{name}-1-1.noarch ({rpms[name]})" for name in ("unsigned", "foreign")}


def test_one_flipped_byte_is_refused(rpms: dict[str, Path], signers: tuple[Signer, Signer], tmp_path: Path) -> None:
    content = bytearray(rpms["tool"].read_bytes())
    content[-10] ^= 1
    damaged = tmp_path / "damaged.rpm"
    damaged.write_bytes(content)
    with pytest.raises(TrustError) as caught:
        verify_packages([damaged, rpms["library"]], [signers[0].public])
    assert caught.value.details.startswith(f"tool-2.0~rc1-1.noarch ({damaged}): ")
    damaged.write_bytes(b"nothing like it")
    with pytest.raises(TrustError) as caught:
        verify_packages([damaged], [signers[0].public])
    assert caught.value.details.startswith(f"{damaged}: ")
