"""The RPM key: equal signatures for equal documents, keys that cannot sign, and nothing left behind."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from payload import effects
from payload.errors import InputError, TrustError, UsageError
from repos.signatures import verify_metadata
from repos.signing import generate_rpm_key, open_rpm_key, write_public_key
from tests.unit.repos.conftest import Signer

CONTENT = b"<repomd/>"


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rpm-key") / "release.gpg"
    path.write_text(generate_rpm_key("Shop (package repository)"))
    return path


def signature(secret: Path, folder: Path) -> bytes:
    folder.mkdir()
    (folder / "repomd.xml").write_bytes(CONTENT)
    with open_rpm_key(secret) as key:
        signed = key.sign(folder / "repomd.xml")
        write_public_key(key, folder / "public.asc")
    assert signed == folder / "repomd.xml.asc"
    return signed.read_bytes()


def test_the_same_document_gives_the_same_signature(secret: Path, tmp_path: Path) -> None:
    one = signature(secret, tmp_path / "one")
    assert signature(secret, tmp_path / "two") == one
    assert (tmp_path / "one/public.asc").read_bytes() == (tmp_path / "two/public.asc").read_bytes()
    verify_metadata(CONTENT, one, [tmp_path / "one/public.asc"], where="ours")
    with pytest.raises(TrustError):
        verify_metadata(CONTENT + b"x", one, [tmp_path / "one/public.asc"], where="ours")


def test_rpm_takes_the_public_half(secret: Path, tmp_path: Path) -> None:
    signature(secret, tmp_path / "one")
    effects.run(["rpmkeys", "--dbpath", tmp_path / "db", "--import", tmp_path / "one/public.asc"])


def test_a_key_of_the_vendors_own(signers: tuple[Signer, Signer], tmp_path: Path) -> None:
    signer = signers[0]
    argv = ["gpg", "--batch", "--armor", "--export-secret-keys", signer.name]
    (tmp_path / "own.gpg").write_text(effects.run(argv, env={"GNUPGHOME": str(signer.home)}).output)
    made = signature(tmp_path / "own.gpg", tmp_path / "one")
    assert signature(tmp_path / "own.gpg", tmp_path / "two") == made
    verify_metadata(CONTENT, made, [signer.public], where="ours")


def test_a_key_with_a_passphrase_cannot_sign_and_nobody_is_asked(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        env = {"GNUPGHOME": home}
        words = ["gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "hidden"]
        effects.run([*words, "--quick-generate-key", "locked <l@example.org>", "rsa2048", "sign", "never"], env=env)
        text = effects.run([*words, "--armor", "--export-secret-keys"], env=env).output
        effects.run(["gpgconf", "--kill", "all"], env=env)
    (tmp_path / "locked.gpg").write_text(text)
    with pytest.raises(InputError) as caught:
        signature(tmp_path / "locked.gpg", tmp_path / "one")
    assert caught.value.code == "bad-rpm-key"
    assert not (tmp_path / "one/repomd.xml.asc").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxxxx\n"])
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "junk.gpg").write_bytes(content)
    with pytest.raises(InputError) as caught, open_rpm_key(tmp_path / "junk.gpg"):
        pass
    assert "sealift keygen --rpm" in caught.value.remedy


def test_the_public_half_is_not_enough(signers: tuple[Signer, Signer]) -> None:
    with pytest.raises(InputError, match="cannot sign"), open_rpm_key(signers[0].public):
        pass


def test_no_key_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught, open_rpm_key(tmp_path / "none.gpg"):
        pass
    assert caught.value.code == "rpm-key-missing"


def test_the_scratch_home_ends_with_its_agent(secret: Path) -> None:
    with open_rpm_key(secret) as key:
        home = key.home
        where = effects.run(["gpgconf", "--homedir", home, "--list-dirs", "agent-socket"]).output.strip()
        socket = Path(where)  # in the home, or in the user's folder for run-time files
        assert socket.exists()
    assert not home.exists()
    assert not socket.parent.exists()
    while str(home) in effects.run(["ps", "-eo", "args"]).output:
        time.sleep(0.01)  # an agent answers before it ends
