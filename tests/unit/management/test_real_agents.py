"""What the real agents do beyond the contract: images from outside, links, time, hosts without QEMU."""

import hashlib
import os
import select
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.management.agent_rigs import RealRig
from tests.unit.management.test_agent_contract import (
    DELETE,
    DONE,
    DOWNLOAD,
    EMPTY,
    FROM_CACHE,
    make_volume,
    refused,
    run_vm,
    start,
)


@pytest.fixture
def host() -> Iterator[RealRig]:
    rig = RealRig("host")
    rig.start()
    yield rig
    rig.close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of `tmp_path`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *words], check=True, capture_output=True)


def from_image(host: RealRig, url: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
    """A volume from the image at `url`: its path, the cached image's path, and the answer."""
    name, path = uuid.uuid4().hex, host.volume()
    cached = f"{host.root}/imagecache/template/{name}/{name}.qcow2"
    place: dict[str, Any] = {"installUrl": path, "templatePathInCache": cached, "size": 100}
    return path, cached, host.call(FROM_CACHE, imageUrl=url, **place, **more)


def test_a_root_volume_is_made_upon_an_image_that_is_fetched_once(host: RealRig, web: str, tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", tmp_path / "image", "3M")
    digest = f"sha256:{hashlib.sha256((tmp_path / 'image').read_bytes()).hexdigest()}"
    path, cached, answer = from_image(host, f"{web}/image", digest=digest)
    assert answer == DONE
    shown = subprocess.run(["qemu-img", "info", path], check=True, capture_output=True, text=True).stdout
    assert f"backing file: {cached}" in shown
    assert "virtual size: 3 MiB" in shown, "never smaller than its image"
    (tmp_path / "image").unlink()
    another: dict[str, Any] = {
        "installUrl": host.volume(),
        "templatePathInCache": cached,
        "size": 100,
        "imageUrl": f"{web}/image",
    }
    assert host.call(FROM_CACHE, **another) == DONE
    run_vm(host, path)


@pytest.mark.parametrize("wrong", ["digest", "backing", "data-file", "no image", "missing", "file"])
def test_images_that_are_not_what_they_should_be_leave_nothing(
    host: RealRig, web: str, tmp_path: Path, wrong: str
) -> None:
    image, digest, url = tmp_path / "image", None, f"{web}/image"
    qemu_img("create", "-f", "qcow2", image, "1M")
    if wrong == "digest":
        digest = f"sha256:{'0' * 64}"
    elif wrong == "backing":
        qemu_img("create", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", image, "1M")
    elif wrong == "data-file":
        qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'd'},data_file_raw=on", image, "1M")
    elif wrong == "no image":
        image.write_bytes(b"no image at all")
    elif wrong == "missing":
        image.unlink()
    else:
        url = "file:///etc/passwd"
    path, cached, answer = from_image(host, url, digest=digest)
    assert refused(answer)
    assert not host.has(path)
    assert list(Path(cached).parent.glob("*")) == list(Path(cached).parent.glob(".*")) == []


def test_no_link_leads_out_of_a_storage(host: RealRig) -> None:
    path = Path(host.volume())
    outside = host.folder / "outside"
    outside.mkdir()
    path.parent.parent.mkdir(parents=True)
    path.parent.symlink_to(outside)
    answer = host.call(EMPTY, installUrl=str(path), size=1 << 20)
    assert refused(answer)
    assert "by a link" in answer["error"]
    assert list(outside.iterdir()) == []


def test_the_files_of_a_running_vm_stay(host: RealRig) -> None:
    root = make_volume(host)
    vm = run_vm(host, root)
    answer = host.call(DELETE, path=root)
    assert refused(answer)
    assert vm in answer["error"]
    assert host.has(root)
    assert host.call("/vm/destroy", uuid=vm) == DONE
    assert host.call(DELETE, path=root) == DONE


def test_a_vm_that_ends_by_itself_is_not_there_any_more(host: RealRig) -> None:
    root = make_volume(host)
    vm = run_vm(host, root)
    pid = int((host.folder / "state" / "vms" / vm / "pid").read_text())
    process = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([process], [], [])
    os.close(process)
    assert host.call("/vm/checkstate", vmUuids=[vm])["states"] == {vm: "Shutdown"}
    assert host.call("/vm/vmsync")["states"] == {}
    assert not (host.folder / "state" / "vms" / vm).exists()
    assert start(host, root, vm)[1] == DONE


def test_the_time_of_a_call_is_over_for_the_agent_too(host: RealRig) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as silent:  # it listens, and never answers
        url = f"http://127.0.0.1:{silent.server_address[1]}/image"
        path, _, answer = from_image(host, url, seconds=0.5)
    assert refused(answer)
    assert not host.has(path)


def test_a_vm_that_is_not_ready_in_time_is_ended(monkeypatch: pytest.MonkeyPatch, host: RealRig) -> None:
    root, vm = make_volume(host), uuid.uuid4().hex
    host.stop()
    monkeypatch.setenv("PATH", f"{host.folder}:{os.environ['PATH']}")
    host.start()
    slow = host.folder / "qemu-system-x86_64"
    slow.write_text(f'#!/bin/sh\nkill -STOP $$\nexec {shutil.which(slow.name)} "$@"\n')  # it never gets further
    slow.chmod(0o755)
    body: dict[str, Any] = {"memory": 64 << 20, "cpuNum": 1, "dataVolumes": [], "nics": []}
    body["rootVolume"] = {"installPath": root, "volumeUuid": Path(root).stem}
    assert refused(host.call("/vm/start", vmInstanceUuid=vm, seconds=0.5, **body))
    assert not (host.folder / "state" / "vms" / vm).exists()
    assert subprocess.run(["pgrep", "-f", vm], check=False, capture_output=True).stdout == b""
    slow.unlink()
    assert start(host, root, vm)[1] == DONE


def test_a_nic_needs_its_bridge(host: RealRig) -> None:
    vm, root = uuid.uuid4().hex, make_volume(host)
    body: dict[str, Any] = {
        "memory": 64 << 20,
        "cpuNum": 1,
        "rootVolume": {"installPath": root, "volumeUuid": Path(root).stem},
    }
    nic = {"nicInternalName": "vnic0000.0", "bridgeName": "br_none", "mac": "fa:00:00:00:00:01"}
    answer = host.call("/vm/start", vmInstanceUuid=vm, nics=[nic], dataVolumes=[], **body)
    assert refused(answer)
    assert "no bridge br_none" in answer["error"]
    nic["bridgeName"] = "a,script=/x"
    answer = host.call("/vm/start", vmInstanceUuid=vm, nics=[nic], dataVolumes=[], **body)
    assert "wrong form" in answer["error"]
    assert host.call("/vm/vmsync")["states"] == {}


def test_a_host_without_qemu_says_so(monkeypatch: pytest.MonkeyPatch, host: RealRig) -> None:
    root = make_volume(host)
    host.stop()
    monkeypatch.setenv("PATH", str(host.folder))
    host.start()
    assert host.client.call("/host/fact")["missing"] == ["qemu-system-x86_64", "qemu-img"]
    answer = start(host, root)[1]
    assert refused(answer)
    assert "install qemu-system-x86" in answer["error"]


def test_only_files_that_were_laid_out_for_it_become_images() -> None:
    storage = RealRig("storage")
    storage.start()
    try:
        imports = storage.folder / "imports"
        imports.mkdir()
        (imports / "trial.qcow2").write_bytes(b"an image")
        (imports / "link").symlink_to("/etc/passwd")
        answer = storage.call(DOWNLOAD, installPath=storage.image(), url=f"file://{imports}/trial.qcow2", timeout=30)
        assert answer["size"] == len(b"an image")
        for url in ("file:///etc/passwd", f"file://{imports}/link", f"file://{imports}/../token", "ftp://x/y"):
            path = storage.image()
            assert refused(storage.call(DOWNLOAD, installPath=path, url=url, timeout=30))
            assert not storage.has(path)
    finally:
        storage.close()
