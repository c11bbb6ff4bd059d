from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from installer.control import choose_target
from installer.keyring import HostTrust
from installer.request import Request
from installer.rules import (
    check_downgrade,
    check_hops,
    check_irreversible,
    check_replay,
    chosen_mirror,
    decide,
)
from installer.state import ReleaseRecord, State, parse_state
from payload.errors import IntegrityError, PreflightError, TrustError, UsageError
from payload.manifest import Database, Manifest
from payload.signing import PrivateKey
from payload.trust import Keyring
from repos.nevra import Nevra

DIGEST, OTHER = ("sha256:" + letter * 64 for letter in "ab")
INSTALL, UPGRADE = Request(action="install", offline=True), Request(action="install", upgrade=True)


def manifest(version: str, reach: str | None = ">=1.0,<2") -> Manifest:
    product = {"name": "app", "version": version, "title": "App", "upgrades_from": reach}
    server = {"requirements": ["app"]}
    return Manifest.model_validate(
        {"product": product, "targets": [{"os": ["lab"], "python": ">=3"}], "server": server}
    )


def record(version: str, *, left: bool = False) -> ReleaseRecord:
    snapshot = "/kept/files.json" if left else None
    return ReleaseRecord(version=Version(version), installed_at="now", bundle=DIGEST, config_snapshot=snapshot)


def state(*records: ReleaseRecord, current: str) -> State:
    return State(product="app", prefix="/opt/app", current=Version(current), releases=records)


INSTALLED = state(record("1.1"), current="1.1")


def test_what_a_request_means() -> None:
    assert decide(INSTALL, None, manifest("1.0"), DIGEST, "x") == "install"
    assert decide(UPGRADE, INSTALLED, manifest("1.2"), DIGEST, "x") == "upgrade"
    assert decide(INSTALL, INSTALLED, manifest("1.1"), DIGEST, "x") == "same"
    assert decide(UPGRADE, INSTALLED, manifest("1.1"), DIGEST, "x") == "same"


def test_an_older_bundle_is_not_taken_again() -> None:
    """A host that went back from 1.2 to 1.0 does not take 1.1, which has the faults that 1.2 mended."""
    keyring = Keyring(keys=(PrivateKey.generate().public,))
    host = HostTrust(keyring=keyring, version=Version("1.2"), created=1000)
    with pytest.raises(TrustError) as caught:
        check_replay(UPGRADE, manifest("1.1"), 999, host, "x")
    assert caught.value.code == "bundle-older"
    check_replay(replace(UPGRADE, allow_older=True), manifest("1.1"), 999, host, "x")
    check_replay(UPGRADE, manifest("1.1.1"), 1001, host, "x")  # a fix for the older branch
    check_replay(UPGRADE, manifest("1.2"), 999, host, "x")
    check_replay(UPGRADE, manifest("1.0"), 0, None, "x")


@pytest.mark.parametrize(
    ("request_", "installed", "offered", "bundle", "code"),
    [
        (UPGRADE, None, manifest("1.0"), DIGEST, "nothing-installed"),
        (INSTALL, INSTALLED, manifest("1.2"), DIGEST, "already-installed"),
        (UPGRADE, INSTALLED, manifest("1.0"), DIGEST, "version-lower"),
        (INSTALL, INSTALLED, manifest("1.0"), DIGEST, "version-lower"),
        (UPGRADE, INSTALLED, manifest("3.0", ">=2"), DIGEST, "upgrade-out-of-range"),
        (UPGRADE, INSTALLED, manifest("3.0", None), DIGEST, "upgrade-out-of-range"),
        (INSTALL, INSTALLED, manifest("1.1"), OTHER, "bundle-differs"),
        (
            Request(action="install", upgrade=True, prefix=Path("/x")),
            INSTALLED,
            manifest("1.2"),
            DIGEST,
            "prefix-differs",
        ),
    ],
)
def test_refusals_say_what_to_do(
    request_: Request, installed: State | None, offered: Manifest, bundle: str, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        decide(request_, installed, offered, bundle, "app.bin")
    assert caught.value.code == code
    assert caught.value.remedy


def test_rollback_goes_to_the_newest_older_release_that_something_was_kept_for() -> None:
    lying = state(
        record("1.0", left=True), record("1.1", left=True), record("1.2"), record("2.0", left=True), current="1.2"
    )
    assert str(choose_target(lying, None).version) == "1.1"
    assert str(choose_target(lying, "2.0").version) == "2.0"
    for impossible in ("1.2", "9"):
        with pytest.raises(UsageError, match="cannot go back"):
            choose_target(lying, impossible)
    with pytest.raises(UsageError, match="no release below"):
        choose_target(INSTALLED, None)


def test_state_reads_back_and_is_strict() -> None:
    assert parse_state(INSTALLED.to_text(), Path("state.json")) == INSTALLED
    for text in ("", "[]", INSTALLED.to_text().replace('"product"', '"produce"')):
        with pytest.raises(IntegrityError) as caught:
            parse_state(text, Path("state.json"))
        assert caught.value.code == "state-damaged"
    with pytest.raises(IntegrityError) as caught:
        parse_state(INSTALLED.to_text().replace('"format": 1', '"format": 2'), Path("state.json"))
    assert caught.value.code == "state-newer"


@pytest.mark.parametrize(
    ("request_", "remembered", "meant"),
    [
        (INSTALL, (None, False), (None, False)),
        (Request(action="install", mirror="near"), (None, False), ("near", False)),
        (Request(action="install", mirror="near", bundle_first=True), (None, False), ("near", True)),
        (UPGRADE, ("near", False), ("near", False)),
        (UPGRADE, ("near", True), ("near", True)),
        (UPGRADE, (None, False), (None, False)),
        (Request(action="install", upgrade=True, mirror="far"), ("near", True), ("far", False)),
        (Request(action="install", upgrade=True, offline=True), ("near", True), (None, False)),
    ],
)
def test_the_mirror_is_remembered_unless_something_else_is_said(
    request_: Request, remembered: tuple[str | None, bool], meant: tuple[str | None, bool]
) -> None:
    before = INSTALLED.model_copy(update={"mirror": remembered[0], "bundle_first": remembered[1]})
    assert chosen_mirror(request_, before) == meant


def test_a_hop_that_must_come_first_is_named_with_the_way() -> None:
    product = manifest("3.0", ">=1.0,<3").product.model_copy(update={"upgrade_hops": (Version("2.0"), Version("1.5"))})
    with pytest.raises(UsageError) as caught:
        check_hops(product, Version("1.1"))
    assert (caught.value.code, caught.value.details) == ("upgrade-hop", "the way: 1.1 -> 1.5 -> 2.0 -> 3.0")
    assert "1.5 must come first" in caught.value.brief and "the bundle of app 1.5" in caught.value.remedy
    with pytest.raises(UsageError, match=r"2\.0 must come first"):
        check_hops(product, Version("1.5"))
    check_hops(product, Version("2.0"))


def test_a_downgrade_needs_a_way_back_for_the_data() -> None:
    request = replace(UPGRADE, allow_downgrade=True)
    assert decide(request, INSTALLED, manifest("1.0"), DIGEST, "x") == "downgrade"
    assert decide(request, INSTALLED, manifest("1.2"), DIGEST, "x") == "upgrade"
    plain = manifest("1.1")
    server = {"database": Database(path="app.db"), "migrate": ("app", "migrate")}
    one_way = plain.model_copy(update={"server": plain.server.model_copy(update=server)})
    both = one_way.model_copy(update={"server": one_way.server.model_copy(update={"downgrade": ("app", "back")})})
    for lies_here, way in ((True, "app-ctl rollback --to 1.0"), (False, "stay with 1.1")):
        with pytest.raises(UsageError) as caught:
            check_downgrade(one_way, Version("1.0"), lies_here=lies_here)
        assert caught.value.code == "downgrade-impossible" and way in caught.value.remedy
        for fine in (plain, both):
            check_downgrade(fine, Version("1.0"), lies_here=lies_here)


def test_what_could_not_be_put_back_needs_a_word_where_nobody_is_asked() -> None:
    lost = (Nevra("rival", 0, "1", "1", "noarch"),)
    request = Request(action="install")
    check_irreversible(request, ())
    check_irreversible(replace(request, allow_irreversible=True), lost)
    with pytest.raises(PreflightError) as caught:
        check_irreversible(request, lost)
    assert caught.value.details == "rival-1-1.noarch" and "--allow-irreversible" in caught.value.remedy
