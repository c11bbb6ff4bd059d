from __future__ import annotations

from pathlib import Path

import pytest

from installer.keyring import file_name, find_keys
from installer.layout import Layout
from payload.errors import InputError, TrustError
from payload.trust import PrivateKey, PublicKey

HOST, ADMIN, OTHER = (PrivateKey.generate(name).public for name in ("host", "admin", "other"))


def put(folder: Path, key: PublicKey) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(key)
    path.write_text(key.to_text())
    return path


def test_host_before_administrator_before_option(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    given = put(tmp_path / "given", OTHER)
    assert find_keys(layout, None) is None
    option = find_keys(layout, given)
    assert option is not None and (option.keyring.keys, option.origin) == ((OTHER,), "option")
    put(layout.trusted_keys_dir, ADMIN)
    administrator = find_keys(layout, None)
    assert administrator is not None and (administrator.keyring.keys, administrator.origin) == (
        (ADMIN,),
        "administrator",
    )
    put(layout.keyring_dir, HOST)
    host = find_keys(layout, None)
    assert host is not None and (host.keyring.keys, host.origin) == ((HOST,), "host")


def test_installed_host_takes_no_other_key_by_option(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    put(layout.keyring_dir, HOST)
    with pytest.raises(TrustError) as caught:
        find_keys(layout, put(tmp_path / "given", OTHER))
    assert caught.value.code == "key-not-in-keyring"
    same = find_keys(layout, put(tmp_path / "given", HOST))
    assert same is not None and same.keyring.keys == (HOST,)


def test_malformed_key_is_named(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    layout.trusted_keys_dir.mkdir(parents=True)
    (layout.trusted_keys_dir / "bad.pub").write_text("ssh-rsa AAAA")
    with pytest.raises(InputError, match=r"bad\.pub"):
        find_keys(layout, None)
