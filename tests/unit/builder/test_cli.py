"""The command line as a program: what it prints where, and how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builder import __version__
from builder.sign import create_keypair
from tests.unit.builder.product import Site, stand_in_runtime

ROOT = Path(__file__).parents[3]


def sealift(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", "from builder.cli import main; main()", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment(), check=False)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def ready(site: Site, wheels: Path, tmp_path: Path) -> Site:
    """The product, a runtime in the store, and a key."""
    stand_in_runtime(site, tmp_path)
    create_keypair(tmp_path / "release.pem", "test")
    return site


def test_lock_build_verify_inspect(ready: Site, tmp_path: Path) -> None:
    store, key = ("--store", ready.store.root), ("--key", tmp_path / "release.pem")
    locked = sealift("lock", ready.manifest, *store)
    assert (locked.returncode, locked.stdout.split()[0]) == (0, "locked"), locked.stderr
    assert "ok resolve the wheels of 2 environments" in locked.stderr

    built = sealift("build", ready.manifest, *store, *key, "--json", cwd=tmp_path)
    assert (built.returncode, built.stderr) == (0, "")
    events = [json.loads(line) for line in built.stdout.splitlines()]
    assert {event["event"] for event in events} == {"started", "advanced", "finished", "result"}
    bundle = Path(events[-1]["bundle"])
    assert bundle == tmp_path / "dist/demo-installer-1.1.0.bin"
    assert events[-1]["size"] == bundle.stat().st_size

    verified = sealift("verify", bundle, "--key", tmp_path / "release.pub", "--quiet")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout.startswith("Demo 1.1.0: whole, signed by SHA256:")

    shown = sealift("inspect", bundle)
    assert "far (not embedded)" in shown.stdout
    values = json.loads(sealift("inspect", bundle, "--json").stdout)
    assert values["product"]["name"] == "demo"
    assert values["verified"] is False
    assert len(values["wheels"]) == 5

    create_keypair(tmp_path / "other.pem", "")
    foreign = sealift("verify", bundle, "--key", tmp_path / "other.pub")
    assert (foreign.returncode, foreign.stdout) == (11, "")
    assert "[signature-untrusted]" in foreign.stderr

    content = bytearray(bundle.read_bytes())
    offset = content.index(b"QFI\xfb")
    content[offset + 900] ^= 1
    bundle.write_bytes(content)
    damaged = sealift("verify", bundle, "--key", tmp_path / "release.pub")
    assert damaged.returncode == 10
    assert "images/trial.qcow2" in damaged.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["lock", "none.toml"], 12, "[manifest-missing]"),
        (["build", "bundle.toml", "--key", "none.pem"], 2, "sealift keygen none.pem"),
        (["inspect", "none.bin"], 2, "[bundle-unreadable]"),
        (["inspect", "bundle.toml"], 10, "[bundle-truncated]"),
        (["verify", "bundle.toml", "--key", "none.pub"], 2, "[key-missing]"),
        (["keygen", "bundle.toml/x.pem"], 12, "[key-unwritable]"),
        (["nonsense"], 2, "nonsense"),
        (["lock"], 2, "MANIFEST"),
        (["build", "bundle.toml", "--no-such"], 2, "--no-such"),
    ],
)
def test_exit_codes(site: Site, arguments: list[str], code: int, text: str) -> None:
    answer = sealift(*arguments, cwd=site.folder)
    assert (answer.returncode, answer.stdout) == (code, "")
    assert text in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_error_as_json(site: Site) -> None:
    site.rewrite("embed = true", "embbed = true")
    answer = sealift("lock", site.manifest, "--json")
    assert (answer.returncode, answer.stderr) == (12, "")
    (error,) = (json.loads(line) for line in answer.stdout.splitlines())
    assert (error["event"], error["code"]) == ("error", "manifest-invalid")
    assert "bundle.toml:26: images[0].embbed: unknown key; did you mean 'embed'?" in error["details"]


def test_help_and_version() -> None:
    assert sealift("--version").stdout == f"sealift {__version__}\n"
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    shown = sealift("--help").stdout
    assert "sealift build bundle.toml" in shown
    for command in ("lock", "build", "inspect", "verify", "keygen"):
        assert command in shown
        assert "Example" in sealift(command, "--help").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_half_written(site: Site, wheels: Path, number: signal.Signals, tmp_path: Path) -> None:
    os.mkfifo(there := tmp_path / "there")
    (site.folder / "app/backend.py").write_text(f"import sys\nsys.exit(open({str(there)!r}).read())\n")
    # a test run in the background ignores SIGINT, and its children inherit that
    script = "import signal as s; s.signal(s.SIGINT, s.default_int_handler); from builder.cli import main; main()"
    words = [sys.executable, "-c", script, "lock", str(site.manifest), "--store", str(site.store.root)]
    before = sorted(site.folder.iterdir())
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment()) as child:
        assert child.stderr is not None
        with there.open("w"):  # once the backend reads; it fails when this is closed
            child.send_signal(number)
        assert "[interrupted]" in child.stderr.read()
    assert child.returncode == 130
    assert sorted(site.folder.iterdir()) == before
