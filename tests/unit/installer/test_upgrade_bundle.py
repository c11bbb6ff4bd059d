"""Upgrade bundles: what they leave out, what an upgrade makes of them, and whom they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.delta import OneHost, check_one_host
from installer.rules import choose_base
from installer.site_plan import site_plan
from installer.state import ReleaseRecord, State
from payload.archive import open_bundle
from payload.errors import ExitCode, InputError, IntegrityError, UsageError
from payload.events import NullSink
from payload.model import Base, Source
from payload.signing import PrivateKey
from payload.siteplan import SitePlan
from payload.version import Version
from tests.unit.installer.lab import INSTALL, UPGRADE, Lab
from tests.unit.installer.products import build


@pytest.fixture
def upgrade(lab: Lab, key: PrivateKey, bundles: dict[str, Path], tmp_path: Path) -> Path:
    """An upgrade bundle to 1.1.0, beside the full ones."""
    folder = tmp_path / "made"
    folder.mkdir()
    system = open_bundle(bundles["1.0.0"]).claimed.manifest.targets[0].os[0]
    path = build(folder, key, "1.1.0", system, config="1.1", bases=[bundles["1.0.0"]])
    lab.bundles = bundles | {"upgrade": path}
    return path


def release_tree(lab: Lab, version: str) -> dict[str, bytes]:
    release = lab.layout.release(version)
    left_out = {"venv", "index.json"}
    return {
        str(path.relative_to(release)): path.read_bytes()
        for path in sorted(release.rglob("*"))
        if path.is_file() and path.relative_to(release).parts[0] not in left_out
    }


def test_it_holds_what_the_base_lacks(upgrade: Path) -> None:
    bundle = open_bundle(upgrade)
    assert [str(base.version) for base in bundle.claimed.bases] == ["1.0.0"]
    by_path = {entry.path: entry.blob for entry in bundle.claimed.entries}
    sources = {each.digest: each.sources[0] for each in bundle.claimed.borrowed}
    assert sources[by_path["images/small.qcow2"]].patch is None
    assert sources[by_path["tools/large.data"]].patch is not None
    patch = next(b for b in bundle.claimed.blobs if b.digest == sources[by_path["tools/large.data"]].patch)
    assert patch.stored_size < 1000, "half a megabyte, of which five bytes changed"
    assert by_path["templates/config/app.toml.j2"] not in sources, "it is read before anything is staged"
    verified = bundle.known(bundle.digest)
    assert verified.check(NullSink()) == ()
    assert "needs:         1.0.0" in verified.text(verified.index.info)
    with pytest.raises(UsageError, match="takes it from what is installed"):
        verified.read("images/small.qcow2")


def test_the_release_is_the_one_of_the_full_bundle(lab: Lab, upgrade: Path) -> None:
    lab.run("1.0.0")
    lab.run("upgrade", UPGRADE)
    made = release_tree(lab, "1.1.0")
    full = open_bundle(lab.bundles["1.1.0"])
    expected = lab.root / "expected"
    full.known(full.digest).extract(expected, sink=NullSink(), stage="t")
    for entry in full.claimed.entries:
        assert made[entry.path] == (expected / entry.path).read_bytes()
        assert (lab.layout.release("1.1.0") / entry.path).stat().st_mode & 0o777 == entry.mode
    assert "nothing to do" in "\n".join(lab.run("1.1.0", UPGRADE)), "the full bundle is the same release"


def test_files_that_were_altered_by_hand_are_named_and_nothing_changes(lab: Lab, upgrade: Path) -> None:
    lab.run("1.0.0")
    release = lab.layout.release("1.0.0")
    large = release / "tools/large.data"
    large.write_bytes(large.read_bytes()[:-1] + b"x")
    (release / "images/small.qcow2").unlink()
    before = lab.tree()
    with pytest.raises(IntegrityError) as caught:
        lab.run("upgrade", UPGRADE)
    assert caught.value.code == "base-altered"
    assert all(name in caught.value.details for name in ("tools/large.data", "images/small.qcow2"))
    assert lab.tree() == before
    lab.run("1.0.0")  # its own bundle repairs it
    lab.run("upgrade", UPGRADE)
    assert str(lab.layout.current.readlink()) == "releases/1.1.0"


def test_a_fresh_host_is_refused(lab: Lab, upgrade: Path) -> None:
    for request in (INSTALL, UPGRADE):
        with pytest.raises(UsageError) as caught:
            lab.run("upgrade", request)
        assert (caught.value.code, caught.value.exit_code) == ("upgrade-bundle", ExitCode.USAGE)
        assert "1.0.0" in caught.value.details


def test_another_release_is_refused() -> None:
    base = Base(version=Version("1.0.0"), release=f"sha256:{'1' * 64}")
    other = ReleaseRecord(version=Version("1.0.0"), installed_at="t", bundle=f"sha256:{'2' * 64}")
    state = State(product="shop", prefix="/opt/shop", current=other.version, releases=(other,))
    with pytest.raises(UsageError) as caught:
        choose_base((base,), state, Version("1.1.0"))
    assert caught.value.code == "base-missing"
    assert base.release in caught.value.details and other.bundle in caught.value.details
    assert choose_base((base,), state, Version("1.0.0")) is None, "a repair makes do with what is inside"
    same = state.model_copy(update={"releases": (other, other.model_copy(update={"bundle": base.release}))})
    assert choose_base((base,), same, Version("1.1.0")) == (0, Version("1.0.0"))


def test_a_damaged_patch_is_damage_of_the_bundle(lab: Lab, upgrade: Path) -> None:
    index = open_bundle(upgrade).claimed
    large = next(entry.blob for entry in index.entries if entry.path == "tools/large.data")
    name = next(each.sources[0].patch for each in index.borrowed if each.digest == large)
    blob = next(blob for blob in index.blobs if blob.digest == name)
    content = bytearray(upgrade.read_bytes())
    content[blob.offset + blob.stored_size // 2] ^= 4
    upgrade.write_bytes(content)
    (damage,) = open_bundle(upgrade).known(open_bundle(upgrade).digest).check(NullSink())
    assert damage.path == "tools/large.data"
    lab.run("1.0.0")
    with pytest.raises(IntegrityError) as caught:
        lab.run("upgrade", UPGRADE)
    assert caught.value.code == "bundle-damaged"


@pytest.mark.parametrize("with_base", [True, False])
def test_a_bundle_for_one_host_holds_what_that_host_lacks(
    lab: Lab, key: PrivateKey, bundles: dict[str, Path], tmp_path: Path, with_base: bool
) -> None:
    lab.run("1.0.0")
    release = lab.layout.release("1.0.0")
    (release / "images/small.qcow2").write_bytes(b"altered by hand")
    before = lab.tree()
    view = site_plan(lab.found())
    assert lab.tree() == before
    plan = SitePlan.model_validate_json(json.dumps(view.body), strict=True)
    assert (str(plan.version), plan.answers) == ("1.0.0", {"port": 8080}), "no secret among the answers"
    assert "images/small.qcow2" not in {file.path for file in plan.files}
    system = open_bundle(bundles["1.0.0"]).claimed.manifest.targets[0].os[0]
    (folder := tmp_path / "made").mkdir()
    bases = [bundles["1.0.0"]] if with_base else []
    path = build(folder, key, "1.1.0", system, config="1.1", bases=bases, host=OneHost(plan, {}))
    index = open_bundle(path).claimed
    by_path = {entry.path: entry.blob for entry in index.entries}
    outside = {each.digest: each.sources[0] for each in index.borrowed}
    assert by_path["images/small.qcow2"] not in outside, "altered there, so it is inside"
    assert (by_path["tools/large.data"] in outside) == with_base, "a patch needs the old file here"
    (pip,) = (name for name in by_path if name.startswith("tools/pip"))
    assert outside[by_path[pip]] == Source(path=pip)
    lab.bundles = bundles | {"upgrade": path}
    lab.run("upgrade", UPGRADE)
    assert "nothing to do" in "\n".join(lab.run("1.1.0", UPGRADE)), "it is the release of the full bundle"


def test_a_base_beside_a_plan_is_the_release_of_the_plan(bundles: dict[str, Path], lab: Lab) -> None:
    lab.run("1.0.0")
    plan = SitePlan.model_validate_json(json.dumps(site_plan(lab.found()).body), strict=True)
    old, new = (open_bundle(bundles[name]) for name in ("1.0.0", "1.1.0"))
    check_one_host(plan, [])
    check_one_host(plan, [old.known(old.digest)])
    for wrong in ([new.known(new.digest)], [old.known(old.digest)] * 2):
        with pytest.raises(InputError) as caught:
            check_one_host(plan, wrong)
        assert caught.value.code == "base-unfit"
