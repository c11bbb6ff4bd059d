"""The text that rpmbuild gets, and the tree it is made of."""

from __future__ import annotations

from pathlib import Path

from tests.lab.convert import conffiles, file_list, merge_usr, spec_text
from tests.lab.debs import Deb


def deb(**fields: str) -> Deb:
    base = {"Package": "tool", "Architecture": "all", "Version": "2:1.0-1", "Description": "A 100% tool\n long"}
    return Deb(Path("tool_1.0-1_all.deb"), {**base, **fields})


def test_spec() -> None:
    spec = spec_text(deb(), ["libc6 >= 2"], ["agent"], ['"/usr/bin/tool"'])
    lines = spec.splitlines()
    assert lines[:4] == ["Name: tool", "Version: 1.0", "Release: 1", "Epoch: 2"]
    assert {"Summary: A 100%% tool", "BuildArch: noarch", "Requires: libc6 >= 2", "Provides: agent"} <= set(lines)
    assert lines[-2:] == ["%files", '"/usr/bin/tool"']
    assert "%post" not in lines


def test_spec_of_a_package_with_a_maintainer_script() -> None:
    spec = spec_text(deb(Package="libc-bin"), [], [], [])
    assert "%post\nldconfig || :\n%files" in spec


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "etc/empty").mkdir(parents=True)
    (tmp_path / "etc/tool.conf").write_text("")
    (tmp_path / "etc/100%").write_text("")
    (tmp_path / "etc/link").symlink_to("tool.conf")
    for folder in (tmp_path / "etc", tmp_path / "etc/empty"):
        folder.chmod(0o755)
    (tmp_path / "private").mkdir(mode=0o700)
    assert file_list(tmp_path, frozenset(["/etc/tool.conf"]), "tool") == [
        '%dir "/private"',
        '"/etc/100%%"',
        '%dir "/etc/empty"',
        '"/etc/link"',
        '%config(noreplace) "/etc/tool.conf"',
    ]


def test_base_files_does_not_own_the_layout(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "home").mkdir()
    assert file_list(tmp_path, frozenset(), "base-files") == []


def test_usr_is_merged(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to("dash")
    (tmp_path / "lib64").symlink_to("usr/lib64")
    merge_usr(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["usr"]
    assert (tmp_path / "usr/bin/sh").is_symlink()


def test_conffiles_lie_below_usr_too(tmp_path: Path) -> None:
    (tmp_path / "conffiles").write_text("/etc/a\n/lib/systemd/b\nremove-on-upgrade /etc/c\n")
    assert conffiles(tmp_path) == {"/etc/a", "/usr/lib/systemd/b"}
    assert conffiles(tmp_path / "absent") == frozenset()
