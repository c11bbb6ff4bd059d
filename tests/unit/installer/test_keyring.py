from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.version import Version

from installer.keyring import HostTrust, find_keys, own_keys, remembered, verify
from installer.layout import Layout
from payload.archive import open_bundle
from payload.errors import InputError, IntegrityError, TrustError
from payload.signing import PrivateKey
from payload.trust import Keyring, PublicKey
from tests.unit.payload.bundles import build

HOST, ADMIN, OTHER = (PrivateKey.generate(name).public for name in ("host", "admin", "other"))
VENDOR, SECOND = PrivateKey.generate("vendor"), PrivateKey.generate("second")


def put(folder: Path, *keys: PublicKey) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for key in keys:
        (folder / f"{key.comment}.pub").write_text(key.to_text())
    return folder / f"{keys[0].comment}.pub"


def remember(layout: Layout, keyring: Keyring, created: int = 0) -> HostTrust:
    trust = HostTrust(keyring=keyring, version=Version("1.0"), created=created)
    layout.trust_file.parent.mkdir(parents=True, exist_ok=True)
    layout.trust_file.write_text(trust.to_text())
    return trust


def test_host_before_administrator_before_option(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    given = put(tmp_path / "given", OTHER)
    assert find_keys(layout, None) is None
    option = find_keys(layout, given)
    assert option is not None and (option.keyring.keys, option.origin) == ((OTHER,), "option")
    put(layout.trusted_keys_dir, ADMIN)
    administrator = find_keys(layout, None)
    assert administrator is not None
    assert (administrator.keyring.keys, administrator.origin) == ((ADMIN,), "administrator")
    trust = remember(layout, Keyring(keys=(HOST,)))
    host = find_keys(layout, None)
    assert host is not None and (host.keyring.keys, host.origin, host.host) == ((HOST,), "host", trust)


def test_installed_host_takes_no_other_key_by_option(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    remember(layout, Keyring(keys=(HOST,)))
    with pytest.raises(TrustError) as caught:
        find_keys(layout, put(tmp_path / "given", OTHER))
    assert caught.value.code == "key-not-in-keyring"
    same = find_keys(layout, put(tmp_path / "given", HOST))
    assert same is not None and same.keyring.keys == (HOST,)


def test_an_administrator_gives_several_keys_or_one_keyring(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    put(layout.trusted_keys_dir, ADMIN, OTHER)
    several = find_keys(layout, None)
    assert several is not None and (several.keyring.threshold, len(several.keyring.keys)) == (1, 2)
    ring = Keyring(version=3, threshold=2, keys=(ADMIN, OTHER))
    file = tmp_path / "vendor.keyring"
    file.write_text(ring.to_text())
    fresh = Layout.of("app", root=tmp_path / "fresh")
    found = find_keys(fresh, file)
    assert found is not None and (found.keyring.threshold, found.keyring.keys) == (2, ring.keys)
    assert found.keyring.version == 0, "what comes with the bundle is to take its place"


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda layout: put(layout.trusted_keys_dir, ADMIN).write_text("ssh-rsa AAAA"), InputError),
        (lambda layout: put(layout.trusted_keys_dir, ADMIN).write_text('{"keys": []}'), InputError),
        (lambda layout: remember(layout, Keyring(keys=(HOST,))) and layout.trust_file.write_text("{}"), IntegrityError),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, damage: Callable[[Layout], object], error: type[Exception]) -> None:
    layout = Layout.of("app", root=tmp_path)
    damage(layout)
    with pytest.raises(error, match=r"admin\.pub|trust\.json"):
        find_keys(layout, None)


def test_a_person_confirms_all_who_signed(tmp_path: Path) -> None:
    ring = Keyring(threshold=2, keys=(VENDOR.public, SECOND.public, OTHER))
    bundle = open_bundle(build(tmp_path, VENDOR, SECOND, keyring=ring))
    asked: list[Keyring] = []

    def confirm(keys: Keyring) -> bool:
        asked.append(keys)
        return True

    verified, trusted = verify(bundle, None, confirm, now=0)
    assert set(asked[0].keys) == {VENDOR.public, SECOND.public}
    assert (trusted.origin, verified.keyring) == ("asked", ring)
    with pytest.raises(TrustError) as caught:
        verify(bundle, None, None, now=0)
    assert caught.value.code == "key-unknown"


def test_one_compromised_key_of_a_keyring_is_not_enough(tmp_path: Path) -> None:
    """Somebody who has one of two keys declares a keyring of his own, in which that one is enough."""
    bundle = open_bundle(build(tmp_path, VENDOR, keyring=Keyring(version=2, keys=(VENDOR.public,))))
    layout = Layout.of("app", root=tmp_path)
    remember(layout, Keyring(threshold=2, keys=(VENDOR.public, SECOND.public)))
    with pytest.raises(TrustError) as caught:
        verify(bundle, find_keys(layout, None), None, now=0)
    assert caught.value.code == "signatures-too-few"


def test_expired_keys_stay_expired_when_the_clock_is_set_back(tmp_path: Path) -> None:
    ring = Keyring(keys=(VENDOR.public,), expires=1000)
    bundle = open_bundle(build(tmp_path, VENDOR, keyring=ring))
    layout = Layout.of("app", root=tmp_path)
    remember(layout, ring)
    assert verify(bundle, find_keys(layout, None), None, now=999)[0].keyring == ring
    for created, now in ((0, 1000), (1000, 5)):
        remember(layout, ring, created)
        with pytest.raises(TrustError) as caught:
            verify(bundle, find_keys(layout, None), None, now=now)
        assert caught.value.code == "keyring-expired"


def test_a_renewed_keyring_is_taken_after_the_old_one_expired(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    remember(layout, Keyring(keys=(VENDOR.public,), expires=1000))
    renewed = Keyring(version=2, keys=(SECOND.public,), expires=5000)
    bundle = open_bundle(build(tmp_path, VENDOR, SECOND, keyring=renewed))
    verified, trusted = verify(bundle, find_keys(layout, None), None, now=2000)
    after = remembered(verified, trusted.host)
    assert (after.keyring, str(after.version), after.created) == (renewed, "1.0.0", 0)


def test_what_a_host_remembers_only_grows(tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    before = HostTrust(keyring=Keyring(keys=(VENDOR.public,)), version=Version("2.0"), created=77)
    bundle = open_bundle(build(tmp_path, VENDOR))
    after = remembered(bundle.verify(own_keys(bundle).keyring), before)
    assert (str(after.version), after.created) == ("2.0", 77)
    assert find_keys(layout, None) is None
