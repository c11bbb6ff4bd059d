from __future__ import annotations

import stat
from pathlib import Path

import pytest

from builder.sign import (
    create_keypair,
    create_rpm_key,
    default_key_path,
    load_keyring,
    load_private_key,
    public_path,
    rpm_key_path,
)
from payload.errors import InputError, UsageError
from repos.signing import open_rpm_key


def test_a_key_pair(tmp_path: Path) -> None:
    path = tmp_path / "new folder/release.pem"
    public = create_keypair(path, "Shop releases")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_path(path).name == "release.pub"
    (loaded,) = load_keyring([public_path(path)]).keys
    assert loaded == public
    assert load_private_key(path).public.fingerprint == public.fingerprint
    assert "Shop releases" in public_path(path).read_text()
    assert stat.S_IMODE(rpm_key_path(path).stat().st_mode) == 0o600
    with open_rpm_key(rpm_key_path(path)) as key:
        assert "PUBLIC KEY" in key.public


def test_an_rpm_key_alone(tmp_path: Path) -> None:
    create_rpm_key(tmp_path / "shop.gpg", "")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.gpg"]
    with pytest.raises(UsageError) as caught:
        create_rpm_key(tmp_path / "shop.gpg", "")
    assert caught.value.code == "key-exists"


@pytest.mark.parametrize("existing", ["release.pem", "release.pub", "release.gpg"])
def test_nothing_is_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("precious")
    with pytest.raises(UsageError) as caught:
        create_keypair(tmp_path / "release.pem", "")
    assert caught.value.code == "key-exists"
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text() == "precious"


def test_a_private_key_is_not_named_like_a_public_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name of another half"):
        create_keypair(tmp_path / "release.pub", "")
    assert list(tmp_path.iterdir()) == []


def test_where_the_key_is() -> None:
    assert default_key_path({"SEALIFT_KEY": "/k.pem", "XDG_CONFIG_HOME": "/c"}) == Path("/k.pem")
    assert default_key_path({"XDG_CONFIG_HOME": "/c"}) == Path("/c/sealift/release.pem")
    assert default_key_path({}) == Path.home() / ".config/sealift/release.pem"


def test_no_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_private_key(tmp_path / "release.pem")
    assert "sealift keygen" in caught.value.remedy
    with pytest.raises(UsageError, match="no public key"):
        load_keyring([tmp_path / "release.pub"])


def test_something_else_than_a_key(tmp_path: Path) -> None:
    path = tmp_path / "release.pem"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError):
        load_private_key(path)
    with pytest.raises(InputError):
        load_keyring([path])
