"""What -R learns from a host: its system, its proxy, the mirrors of its operator."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from installer.mirror_choice import probe_limits, this_system, with_own_mirrors
from payload.errors import InputError
from tests.unit.repos.manifests import manifest

OS_RELEASE = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_system_and_its_variables(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(OS_RELEASE)
    system = this_system(tmp_path)
    assert (system.names, system.version) == (("rocky", "rhel", "centos", "fedora"), "9.4")
    assert system.expand("$releasever/$basearch/$stream") == f"9/{platform.machine()}/$stream"
    write(tmp_path, etc__dnf__vars__stream="9-stream\n", etc__yum__vars__releasever="7\n")
    assert this_system(tmp_path).expand("$releasever/$stream") == "7/9-stream"
    write(tmp_path, etc__dnf__vars__releasever="8\n")
    assert this_system(tmp_path).expand("$releasever") == "8", "dnf's own variables come after yum's"


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("[main]\nproxy=http://proxy.example:3128\n", "http://proxy.example:3128"),
        ("[main]\nproxy=_none_\n", None),
        ("[main]\ngpgcheck=1\n", None),
        ("no ini file at all", None),
    ],
)
def test_the_proxy_of_dnf(tmp_path: Path, text: str, proxy: str | None) -> None:
    assert probe_limits("dnf", tmp_path).proxy is None
    write(tmp_path, etc__dnf__dnf_dot_conf=text, etc__yum_dot_conf="[main]\nproxy=http://other.example\n")
    assert probe_limits("dnf", tmp_path).proxy == probe_limits("dnf5", tmp_path).proxy == proxy
    assert probe_limits("yum", tmp_path).proxy == "http://other.example"


def test_own_mirrors_win_by_name(tmp_path: Path) -> None:
    known = manifest(mirrors={"near": {"base": "https://near.example"}, "far": {"base": "https://far.example"}})
    (tmp_path / "a.toml").write_text('[mirrors.near]\nbase = "http://10.0.0.1/x"\n')
    (tmp_path / "b.toml").write_text(
        '[mirrors.own]\nbase = ["http://10.0.0.2", { os = "rocky-9", url = "http://v" }]\n'
    )
    (tmp_path / "no.txt").write_text("not looked at")
    given = tmp_path / "given"
    given.write_text('[mirrors.own]\nbase = "http://10.0.0.3"\n')
    found = with_own_mirrors(known, tmp_path, None).mirrors
    assert {name: [place.url for place in places["base"]] for name, places in found.items()} == {
        "near": ["http://10.0.0.1/x"],
        "far": ["https://far.example"],
        "own": ["http://10.0.0.2", "http://v"],
    }
    assert with_own_mirrors(known, tmp_path, given).mirrors["own"]["base"][0].url == "http://10.0.0.3"
    assert with_own_mirrors(known, tmp_path / "none", None) == known


def test_all_mistakes_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[mirrors.near]\nbase = "ftp://x"\nother = "http://y"\n')
    (tmp_path / "b.toml").write_text("[mirrors\n")
    (tmp_path / "c.toml").write_text('[mirrors.near]\nstrange = "http://y"\n')
    with pytest.raises(InputError) as caught:
        with_own_mirrors(manifest(), tmp_path, tmp_path / "missing")
    lines = caught.value.details.splitlines()
    assert [line.split(":")[0].rpartition("/")[2] for line in lines] == ["a.toml", "b.toml", "c.toml", "missing"]
    assert "the bundle has no upstream 'strange'" in lines[2]
