"""The stub under every shell that may run it, in the places where it is run."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from payload.archive import open_bundle
from payload.errors import IntegrityError
from payload.format import STUB_SIZE
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.writer import BundleWriter
from templates.contexts import StubContext
from templates.render_stub import render_stub
from tests.paths import CHECKOUT
from tests.unit.payload.bundles import HELP, lock, manifest, runtime

SHELLS = {
    "dash": ["dash"],
    "busybox": ["busybox", "sh"],
    "bash": ["bash"],
    "bash-posix": ["bash", "--posix"],
    "zsh": ["zsh", "--emulate", "sh"],
}


def write_bundle(
    folder: Path,
    *,
    script: Path | None = None,
    arch: str = "x86_64",
    unpacked_kb: int = 100,
    libc_minor: int = 2,
    files: Mapping[str, bytes] = MappingProxyType({"tools/x": b"x"}),
) -> Path:
    """A bundle with the real stub around a runtime that shows its arguments."""
    packed = runtime(folder) if script is None else packed_runtime(folder, script)
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    path = folder / "app installer.bin"
    key = PrivateKey.generate()

    def stub(offset: int, size: int) -> bytes:
        context = StubContext("app", "App", "1.0.0", path.name, arch, offset, size, digest, unpacked_kb, libc_minor)
        return render_stub(context, STUB_SIZE)

    with BundleWriter(path, stub=lambda section: stub(section.offset, section.size), runtime=packed) as writer:
        for name, content in files.items():
            writer.add(content, path=name, component=name.split("/", maxsplit=1)[0])
        ring = Keyring(keys=(key.public,))
        writer.finish(manifest=manifest(), lock=lock(), created=0, keyring=ring, signers=[key], help=HELP)
    return path


def packed_runtime(folder: Path, script: Path) -> Path:
    """A runtime made of one script."""
    path = folder / "runtime.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(script, "sealift-runtime")
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder with blanks"
    folder.mkdir()
    return write_bundle(folder)


def call(command: list[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("shell", SHELLS)
def test_arguments_survive_blanks_and_quotes(shell: str, bundle: Path, tmp_path: Path) -> None:
    words = ["--root", "/a b", "it's", 'say "x"', "", "$HOME", "*", "-n", "new\nline"]
    env = os.environ | {"TMPDIR": str(tmp_path)}
    done = call([*SHELLS[shell], bundle, *words], env=env)
    expected = "".join(f"[{word}]\n" for word in words)
    assert done.stdout == f"bundle={bundle}\n{expected}", done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "how", ["app installer.bin", "./app installer.bin", "../a folder with blanks/app installer.bin"]
)
def test_it_finds_itself_from_any_folder(shell: str, how: str, bundle: Path) -> None:
    done = call([*SHELLS[shell], how], cwd=bundle.parent)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[0].removeprefix("bundle="))
    assert path.samefile(bundle)


def test_it_runs_by_its_own_name(bundle: Path) -> None:
    assert call([bundle, "--help"]).returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_a_changed_runtime_is_never_started(shell: str, bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    content[32768 + 50] ^= 1
    bundle.write_bytes(content)
    done = call([*SHELLS[shell], bundle])
    assert (done.returncode, done.stdout) == (10, "")
    assert "damaged" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_never_runs_into_damage_of_the_stub(shell: str, bundle: Path) -> None:
    whole = bundle.read_bytes()
    checked = whole.index(b"esac") + 5
    end = whole.index(b'exit "$code"\n')
    digest = whole.index(b"stub=") + 9
    for offset in (digest, *range(checked, end, 157), end + 100):
        content = bytearray(whole)
        content[offset] ^= 4  # another letter; quotes are the next test's
        if offset == digest:
            content[offset] = ord("1") if whole[offset] == ord("0") else ord("0")
        bundle.write_bytes(content)
        done = call([*SHELLS[shell], bundle])
        assert (done.returncode, done.stdout) == (10, ""), offset
        assert "stub: its start-up script was changed [bundle-damaged]" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_damage_before_the_check_starts_nothing(shell: str, bundle: Path) -> None:
    """The lines that check cannot check themselves: damage there may be a syntax error, never a start."""
    whole = bundle.read_bytes()
    for offset in range(11, whole.index(b"esac"), 23):
        content = bytearray(whole)
        content[offset] ^= 4
        bundle.write_bytes(content)
        done = subprocess.run([*SHELLS[shell], bundle], capture_output=True, check=False, timeout=60, cwd=bundle.parent)
        assert done.returncode != 0 or b"bundle=" in done.stdout, offset
        if b"bundle=" in done.stdout:  # the damage changed no meaning: then the index's digest of the stub catches it
            with pytest.raises(IntegrityError, match="damaged"):
                unverified = open_bundle(bundle)
                unverified.verify(unverified.claimed.keyring)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_damage_before_the_check_never_starts_the_file_over_and_over(shell: str, bundle: Path) -> None:
    """A redirection that became a pipe makes the file start itself. Whoever runs it here has few processes."""
    whole = bundle.read_bytes()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder, starts = Path(name), Path(name) / "starts"
        head = folder / "head"
        head.write_text(f'#!/bin/sh\necho >>{starts}\nexec /usr/bin/head "$@"\n')
        path = folder / "damaged.bin"
        path.touch()
        for each in (folder, head, path):
            each.chmod(0o755)
        os.chown(folder, 65534, 65534)
        limited = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--nproc=64"]
        env = {"PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": name}
        for offset in (at for at in range(11, whole.index(b"esac\n")) if whole[at] in b"<|&;$()`"):
            for bit in (1, 2, 4, 8, 16, 32, 64):
                path.write_bytes(whole[:offset] + bytes([whole[offset] ^ bit]) + whole[offset + 1 :])
                starts.unlink(missing_ok=True)
                call([*limited, *SHELLS[shell], path], cwd=folder, env=env, stdin=subprocess.DEVNULL, errors="replace")
                assert not starts.exists() or starts.stat().st_size <= 8, (offset, bit)


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    done = call(["sh", write_bundle(tmp_path, arch="s390x")])
    assert done.returncode == 20
    assert "s390x" in done.stderr
    assert "What to do" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("answer", "needed", "why"),
    [
        ("echo glibc 2.17", 17, None),
        ("echo glibc 2.12.2", 12, None),
        ("echo glibc 2.17", 28, "needs glibc 2.28 or newer, this host has glibc 2.17 [libc-too-old]"),
        ("exit 1", 17, None),  # no getconf: the library itself is asked
        ("exit 1", 99, "needs glibc 2.99 or newer, this host has glibc 2."),
    ],
)
def test_an_older_c_library_is_refused(shell: str, answer: str, needed: int, why: str | None, tmp_path: Path) -> None:
    (tmp_path / "getconf").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "getconf").chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = call([*SHELLS[shell], write_bundle(tmp_path, libc_minor=needed)], env=env)
    assert done.returncode == (20 if why else 0), done.stderr
    assert (why or "") in done.stderr


def test_no_room_is_refused_with_what_to_do(tmp_path: Path) -> None:
    done = call(["sh", write_bundle(tmp_path, unpacked_kb=1 << 40)])
    assert done.returncode == 20
    assert "TMPDIR" in done.stderr


def test_nothing_stays_in_the_temporary_folder(bundle: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert call(["sh", bundle], env=os.environ | {"TMPDIR": str(scratch)}).returncode == 0
    assert list(scratch.iterdir()) == []


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_noexec_temporary_folder_is_passed_over(shell: str, bundle: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "noexec", "noexec") as folder:
        done = call([*SHELLS[shell], bundle], env=os.environ | {"TMPDIR": str(folder)})
        assert done.returncode == 0, done.stderr
        assert list(folder.iterdir()) == []


def test_an_ordinary_user_runs_it_from_read_only_media(bundle: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o005 != 0o005:
            break
    with mounted(Path("/run") / f"sealift-media-{os.getpid()}", "size=10m") as folder:
        (folder / "app.bin").write_bytes(bundle.read_bytes())
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        done = call(
            ["sh", folder / "app.bin", "--version"], user="nobody", group="nogroup", env={"PATH": os.environ["PATH"]}
        )
    Path(folder).rmdir()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[--version]"


@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_a_signal_reaches_the_runtime_and_the_folder_goes(shell: str, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = tmp_path / "runtime"
    script.write_text('#!/bin/sh\ntrap "echo ended; exit 30" TERM\necho ready\nwhile :; do sleep 0.1; done\n')
    script.chmod(0o755)
    path = write_bundle(tmp_path, script=script)
    with subprocess.Popen(
        [*SHELLS[shell], path], stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(scratch)}
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.read() == "ended\n"
        assert child.wait(10) == 30
    assert list(scratch.iterdir()) == []


FOLLOWING = f"""\
#!{sys.executable}
import signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(CHECKOUT)!r})
from installer.stub import followed
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
with followed(Path(sys.argv[0]).parent):
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("ended", flush=True)
        time.sleep(0.2)
"""
"""A runtime that ends in order."""


def following(folder: Path) -> Path:
    script = folder / "runtime"
    script.write_text(FOLLOWING)
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("shell", SHELLS)
def test_a_killed_stub_takes_the_runtime_and_its_folder_along(shell: str, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = write_bundle(tmp_path, script=following(tmp_path))
    with subprocess.Popen(
        [*SHELLS[shell], path], stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(scratch)}
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.kill()
        assert child.stdout.read() == "ended\n"  # to its end: the runtime's, for it has the same pipe
    assert list(scratch.iterdir()) == []


@contextmanager
def unpacking(shell: str, bundle: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The stub while its tar waits for a line in the pipe that comes with it. Its temporary folder is `scratch`."""
    for name in ("scratch", "tools"):
        (folder / name).mkdir()
    go_on, tar = folder / "go on", folder / "tools/tar"
    os.mkfifo(go_on)
    tar.write_text(f'#!/bin/sh\necho unpacking\nread -r _ <"{go_on}"\nexec /bin/tar "$@"\n')
    tar.chmod(0o755)
    env = os.environ | {"TMPDIR": str(folder / "scratch"), "PATH": f"{folder / 'tools'}:{os.environ['PATH']}"}
    with subprocess.Popen([*SHELLS[shell], bundle], stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "unpacking\n"
        yield child, go_on
        assert child.stdout.read() == ""  # to its end: when the last process of the stub is gone


@pytest.mark.parametrize("shell", ["dash", "bash", "bash-posix", "zsh"])  # busybox takes its own tar
def test_a_stub_that_is_killed_while_it_unpacks_leaves_nothing(shell: str, bundle: Path, tmp_path: Path) -> None:
    with unpacking(shell, bundle, tmp_path) as (child, go_on):
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # and nobody waits for it yet: it is a zombie
        go_on.write_text("\n")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_runtime_whose_stub_was_gone_before_it_looked_does_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    done = call([following(folder)], env=os.environ | {"SEALIFT_STUB": "1"})
    assert (done.returncode, done.stdout) == (130, "")
    assert not folder.exists()


def test_a_runtime_without_a_stub_keeps_its_folder(tmp_path: Path) -> None:
    script = following(tmp_path)
    with subprocess.Popen([script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.read() == b"ended\n"
    assert script.exists()


@pytest.mark.parametrize("shell", ["dash", "bash", "bash-posix", "zsh"])  # busybox takes its own tar
def test_a_signal_while_the_runtime_is_unpacked_starts_nothing(shell: str, bundle: Path, tmp_path: Path) -> None:
    with unpacking(shell, bundle, tmp_path) as (child, go_on):
        child.send_signal(signal.SIGTERM)
        go_on.write_text("\n")
    assert child.returncode == 130
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_exit_code_of_the_runtime_is_the_bundles(tmp_path: Path) -> None:
    script = tmp_path / "runtime"
    script.write_text("#!/bin/sh\nexit 31\n")
    script.chmod(0o755)
    assert call(["sh", write_bundle(tmp_path, script=script)]).returncode == 31


@pytest.mark.parametrize("shell", SHELLS)
def test_a_runtime_that_cannot_start_is_no_success(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "runtime"
    script.write_text("#!/nonexistent/loader\n")
    script.chmod(0o755)
    assert call([*SHELLS[shell], write_bundle(tmp_path, script=script)]).returncode in {126, 127}


def test_standard_input_reaches_the_runtime(tmp_path: Path) -> None:
    script = tmp_path / "runtime"
    script.write_text("#!/bin/sh\ncat\n")
    script.chmod(0o755)
    assert call(["dash", write_bundle(tmp_path, script=script)], input="an answer\n").stdout == "an answer\n"
