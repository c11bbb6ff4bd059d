from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.manifest import load_manifest
from payload.digest import digest_file
from payload.errors import InputError
from tests.unit.builder.product import Site

BAD = """\
[product]
name = "Demo"
version = 1.10
titel = "x"
upgrades-from = ">=1.0"

[[targets]]
os = []
python = ">=3.11"
[[targets]]
os = ["el"]
python = ">=3.9,<3.11"

[repository]
packages = ["foo >= 1.0", "bar;rm", "foo >= 1.0"]

[mirrors.aliyun]
base = "http://mirror.invalid/x"

[server]
requirements = [
  "starlette",
  "./nope",
  "bad req !",
]
units = ["a.service.j2", "b.service", "c.j2"]
gpg_keys = 1
setup = [
  { command = ["x", "{{ nothing }}"], stdin = "pw" },
]
migrate = ["{{ venv }}/bin/x", "{% if %}"]

[[images]]
name = "one"

[[answers]]
name = "port"
default = [1]
prompt = "p"
[[answers]]
name = "port"
prompt = "p"
"""


def mistakes(folder: Path, text: str) -> list[str]:
    (folder / "bundle.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_manifest(folder / "bundle.toml")
    assert caught.value.code == "manifest-invalid"
    return caught.value.details.splitlines()


def test_a_good_manifest(site: Site) -> None:
    loaded = load_manifest(site.manifest)
    assert loaded.manifest.product.name == "demo"
    assert loaded.manifest.user == "demo"
    assert loaded.folder == site.folder
    assert loaded.digest == digest_file(site.manifest)


def test_every_mistake_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    (tmp_path / "a.service.j2").write_text("{{ answers.foo }} {{ answers.items() }}\n{{ oops }}\n")
    (tmp_path / "c.j2").write_text("\n\n{{ open \n")
    found = mistakes(tmp_path, BAD)
    expected = [
        (1, "product.title", "is missing"),
        (2, "product.name", "'Demo' must be at most 31"),
        (3, "product.version", "must be a string"),
        (4, "product.titel", "did you mean 'title'"),
        (8, "targets[0].os", "at least 1"),
        (12, "targets[1].python", "starts at Python 3.9"),
        (15, "repository.packages", "need at least one"),
        (15, "repository.packages[1]", "'bar;rm' must be NAME"),
        (15, "repository.packages[2]", "given twice: see repository.packages[0]"),
        (18, "mirrors.aliyun.base", "no upstream 'base'"),
        (23, "server.requirements[1]", "not a Python project"),
        (24, "server.requirements[2]", "neither a path"),
        (26, "server.units[0]", "a.service.j2:1: the manifest has no answer 'foo'"),
        (26, "server.units[0]", "a.service.j2:2: undefined variable 'oops'"),
        (26, "server.units[1]", "there is no file 'b.service'"),
        (26, "server.units[2]", "'c' is not the name of a systemd unit"),
        (26, "server.units[2]", "c.j2:3: template syntax"),
        (27, "server.gpg_keys", "unknown key; known here: commands, config"),
        (29, "server.setup[0].command[1]", "undefined variable 'nothing'"),
        (29, "server.setup[0].stdin", "no answer 'pw'"),
        (31, "server.migrate[1]", "template syntax"),
        (33, "images[0]", "exactly one of 'url' and 'path'"),
        (38, "answers[0].default", "must be a string, or must be a whole number, or must be true or false"),
        (41, "answers[1].name", "given twice: see answers[0].name"),
    ]
    shown = "\n".join(found)
    assert len(found) == len(expected), shown
    for line, (number, path, text) in zip(found, expected, strict=True):
        assert line.startswith(f"bundle.toml:{number}: {path}: "), (line, number, path)
        assert text in line


def test_mistakes_in_kernel_settings_and_ports(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
[[sysctl]]
key = "ip_forward"
value = true
[[sysctl]]
key = "net.ipv4.ip_forward"
value = 1
[[sysctl]]
key = "net.ipv4.ip_forward"
value = "a\\nb"
[[firewall]]
port = "{{ answers.listen }}"
protocol = "icmp"
""",
    )
    shown = "\n".join(found)
    for line in (
        "3: sysctl[0].key: 'ip_forward' must be the name of a kernel setting",
        "4: sysctl[0].value: must be a string",
        "9: sysctl[2].key: kernel setting 'net.ipv4.ip_forward' is given twice",
        "10: sysctl[2].value: 'a\\nb' must be one line",
        "12: firewall[0].port: the manifest has no answer 'listen'",
        "13: firewall[0].protocol: ",
    ):
        assert f"bundle.toml:{line}" in shown


@pytest.mark.parametrize(
    ("text", "line"),
    [("[product]\nname = \n", 2), ("a = 1\na = 2\n", 2), ('[a]\nb = "', 2), ("x = 1\ny = [1,\n", 2)],
)
def test_syntax_errors_have_their_line(tmp_path: Path, text: str, line: int) -> None:
    (found,) = mistakes(tmp_path, text)
    assert re.match(rf"bundle\.toml:{line}: syntax: not valid TOML: \w", found)


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "bundle.toml").write_bytes(b'a = 1\nb = "\xff"\n')
    with pytest.raises(InputError) as caught:
        load_manifest(tmp_path / "bundle.toml")
    assert "bundle.toml:2: " in caught.value.details


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_manifest(tmp_path / "none.toml")
    assert caught.value.code == "manifest-missing"


@pytest.mark.parametrize(
    "admitted", [">=1.0", "<=1.1.0", ">=1.0,!=1.1.0", "~=1.0", "<2", "==1.1.*", ">=1.0,<1.1.0.post5"]
)
def test_ranges_that_admit_this_or_a_newer_version(site: Site, admitted: str) -> None:
    text = site.manifest.read_text().replace(">=1.0,<1.1", admitted)
    (found,) = mistakes(site.folder, text)
    assert "product.upgrades-from: admits " in found


def test_no_release_works_beside_itself(site: Site) -> None:
    text = site.manifest.read_text().replace("upgrades-from", 'works-beside = ">=1.0"\nupgrades-from')
    (found,) = mistakes(site.folder, text)
    assert "product.works-beside: admits 1.1.0" in found


@pytest.mark.parametrize("admitted", [">=1.0,<1.1", "==1.0.*", "<1.1.0", "~=1.0.0", "==1.0.0"])
def test_ranges_of_older_versions(site: Site, admitted: str) -> None:
    site.rewrite(">=1.0,<1.1", admitted)
    assert load_manifest(site.manifest).manifest.product.upgrades_from is not None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "far"', 'name = "trial"', "image 'trial' is given twice"),
        ('path = "trial.qcow2"', 'path = "gone.qcow2"', "there is no file 'gone.qcow2'"),
        ('commands = ["demo"]', 'commands = ["demo", "demo"]', "command 'demo' is given twice"),
        ('units = ["units', 'units = ["config/demo.toml.j2", "units', "is not the name of a systemd unit"),
        ("embed = true", "embbed = true", "did you mean 'embed'?"),
        ('python = ">=3.11"', 'python = ">=4"', "admits no Python 3"),
        ('path = "demo.toml"', 'path = "../demo.toml"', "plain relative path"),
        ('"./app"', '"./units"', "has no pyproject.toml"),
        ("upgrades-from", "upgrades_from", "did you mean 'upgrades-from'?"),
    ],
)
def test_single_mistakes(site: Site, old: str, new: str, expected: str) -> None:
    text = site.manifest.read_text()
    assert old in text
    changed = text.replace(old, new, 1)
    line = text[: text.index(old)].count("\n") + 1
    found = mistakes(site.folder, changed)
    assert any(expected in row and row.startswith(f"bundle.toml:{line}: ") for row in found), found


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ('python = ">=3.11"\n', "", "targets[0].python: is missing"),
        ("[server]\n", '[server]\npython = "bundled"\n', "server.python: the bundle has no Python: give [runtime]"),
        (
            "[server]\n",
            '[runtime]\npython = "portable"\n[server]\npython = "bundled"\n',
            "targets[0].python: no host's",
        ),
        ("[server]\n", '[runtime]\npath = "demo"\n[server]\n', "'sha256' belongs to a 'path' or 'url'"),
        (
            "[server]\n",
            '[runtime]\npython = "portable"\npath = "no.tar.gz"\n[server]\n',
            "there is no file 'no.tar.gz'",
        ),
        ("[server]\n", f'[runtime]\npath = "x"\nsha256 = "{"0" * 64}"\n[server]\n', 'are for python = "portable"'),
    ],
)
def test_mistakes_about_python(site: Site, old: str, new: str, mistake: str) -> None:
    site.rewrite(old, new)
    with pytest.raises(InputError) as caught:
        load_manifest(site.manifest)
    assert mistake in caught.value.details
