from __future__ import annotations

import json
from pathlib import Path

import pytest

from installer.cli import BUNDLE_VARIABLE, main
from installer.facts.host import os_release
from payload.errors import ExitCode
from payload.signing import PrivateKey
from tests.unit.installer.products import build


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("cli")
    key = PrivateKey.generate("vendor")
    (folder / "vendor.pub").write_text(key.public.to_text())
    return build(folder, key, "1.0.0", os_release(Path("/etc/os-release"))["ID"]), folder / "vendor.pub"


@pytest.fixture
def call(bundle: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    monkeypatch.setenv(BUNDLE_VARIABLE, str(bundle[0]))

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), "source-missing", "-o or -R"),
        (("-o", "-R", "aliyun"), "offline-with-mirror", "choose one"),
        (("-R", ""), "mirror-empty", "-R auto"),
        (("--info", "--list"), "two-actions", "one of them at a time"),
        (("-o", "-r", "relative"), "root-relative", "-r /"),
        (("--frobnicate",), "usage", "--frobnicate"),
        (("-o", "extra"), "files-without-extract", "extra"),
        (("--events", "/no/such/folder/x", "-o"), "events-unwritable", "/no/such/folder/x"),
        (("--info", "--key", "/no/such.pub"), "key-unreadable", "/no/such.pub"),
    ],
)
def test_usage_errors_say_what_to_do(call, words: tuple[str, ...], code: str, said: str) -> None:  # type: ignore[no-untyped-def]
    exit_code, out, err = call(*words)
    assert (exit_code, out) == (ExitCode.USAGE, "")
    assert f"[{code}]" in err and said in err


def test_a_pattern_that_finds_nothing(call, bundle: tuple[Path, Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    exit_code, out, err = call("--key", str(bundle[1]), "--extract", str(tmp_path / "out"), "nothing*")
    assert (exit_code, out) == (ExitCode.USAGE, "")
    assert "nothing*" in err
    assert "[pattern-unknown]" in err
    assert not (tmp_path / "out").exists()


def test_help_names_the_file_and_gives_examples(call) -> None:  # type: ignore[no-untyped-def]
    exit_code, out, _ = call("--help")
    assert exit_code == 0
    assert "bash app-installer-1.0.0.bin -o " in out
    assert "Exit codes" in out


def test_info_list_check_extract(call, bundle: tuple[Path, Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    key = ("--key", str(bundle[1]))
    exit_code, out, _ = call("--info", "--json", *key)
    assert exit_code == 0 and json.loads(out)["version"] == "1.0.0"
    exit_code, out, _ = call("--list", *key)
    assert exit_code == 0 and "images/small.qcow2" in out
    exit_code, out, _ = call("--check", *key)
    assert exit_code == 0 and "every file is intact" in out
    events = tmp_path / "events.jsonl"
    exit_code, out, _ = call("--extract", str(tmp_path / "out"), "--events", str(events), *key)
    assert exit_code == 0 and (tmp_path / "out/templates/config/app.toml.j2").is_file()
    assert json.loads(events.read_text().splitlines()[0])["event"] == "started"
    exit_code, out, _ = call("--extract", str(tmp_path / "some"), "images/*", *key)
    assert exit_code == 0 and [path.name for path in (tmp_path / "some").iterdir()] == ["images"]
    exit_code, _, err = call("--extract", str(tmp_path / "none"), "no*", "such*", "images/*", *key)
    assert exit_code == ExitCode.USAGE and "[pattern-unknown]" in err and "no*, such*" in err
    assert not (tmp_path / "none").exists()
    exit_code, _, err = call("--extract", str(tmp_path / "out"), *key)
    assert exit_code == ExitCode.USAGE and "folder-not-empty" in err


@pytest.mark.parametrize("words", [("-o", "-y"), ("--check",), ("--extract", "/no/such/place"), ("-o", "--dry-run")])
def test_unknown_key_is_refused_also_with_yes(call, words: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    exit_code, _, err = call(*words)
    assert exit_code == ExitCode.TRUST
    assert "--key FILE.pub" in err
    assert not Path("/no").exists()


def test_info_of_an_unknown_bundle_says_that_it_is_not_trusted(call) -> None:  # type: ignore[no-untyped-def]
    exit_code, out, _ = call("--info")
    assert exit_code == 0
    assert "no trusted key was found on this host" in out


def test_preflight_lists_everything_and_exits_20_when_something_does_not_fit(  # type: ignore[no-untyped-def]
    call, bundle: tuple[Path, Path]
) -> None:
    exit_code, out, _ = call("-o", "--preflight", "--json", "--key", str(bundle[1]))
    body = json.loads(out)
    assert exit_code == (0 if body["fits"] else ExitCode.PREFLIGHT)
    assert {"product", "version", "host", "mode", "fits", "findings", "passed"} == set(body)


def test_control_command_without_the_product(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BUNDLE_VARIABLE, raising=False)
    assert main(["--product", "not-there", "status"]) == ExitCode.USAGE
    assert "[nothing-installed]" in capsys.readouterr().err
    assert main(["--product", "../evil", "status"]) == ExitCode.USAGE
    assert main(["status"]) == ExitCode.USAGE
