"""The trial image boots under QEMU without KVM, and takes a disk and a nic while it runs."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cache import Cache
from tests.lab.image import trial_image

LIMIT = 15_000_000


class Machine:
    """A running virtual machine: its serial line and its QMP socket."""

    def __init__(self, image: Path, folder: Path) -> None:
        serial, monitor = folder / "serial", folder / "monitor"
        overlay = folder / "overlay.qcow2"
        create_disk = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(overlay)]
        subprocess.run(create_disk, check=True)
        argv = [
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-machine",
            "q35",
            "-m",
            "192",
            "-display",
            "none",
            "-nodefaults",
        ]
        argv += ["-serial", f"unix:{serial},server=on,wait=off", "-qmp", f"unix:{monitor},server=on,wait=off"]
        argv += ["-drive", f"file={overlay},if=none,id=disk0", "-device", "virtio-blk-pci,drive=disk0,bus=pcie.0"]
        for slot in ("1", "2"):
            argv += ["-device", f"pcie-root-port,id=slot{slot},chassis={slot},slot={slot}"]
        self.process = subprocess.Popen(argv)
        self.serial = self._connect(serial)
        self.monitor = self._connect(monitor)
        self._replies = self.monitor.makefile("r")
        self._said = ""
        json.loads(self._replies.readline())
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer to a QMP command."""
        self.monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            reply = json.loads(self._replies.readline())
            if "error" in reply:
                raise AssertionError(f"{command}: {reply['error']}")
            if "return" in reply:
                return reply["return"]

    def wait_for(self, text: str, timeout: float = 300) -> str:
        """The rest of the line on which the guest says `text`."""
        deadline = time.monotonic() + timeout
        while text not in self._said or "\n" not in self._said.split(text, 1)[1]:
            assert time.monotonic() < deadline, f"no {text!r} in {self._said[-800:]!r}"
            self.serial.settimeout(1)
            try:
                self._said += self.serial.recv(65536).decode(errors="replace")
            except TimeoutError:
                continue
        line, self._said = self._said.split(text, 1)[1].split("\n", 1)
        return line

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._replies.close()
        self.serial.close()
        self.monitor.close()

    def _connect(self, path: Path) -> socket.socket:
        deadline = time.monotonic() + 60
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(str(path))
            except OSError:
                link.close()
                assert self.process.poll() is None, "qemu ended"
                assert time.monotonic() < deadline, f"{path} does not answer"
                time.sleep(0.02)
            else:
                return link


@pytest.fixture
def image() -> Path:
    return trial_image(Cache())


@pytest.fixture
def machine(image: Path, tmp_path: Path) -> Iterator[Machine]:
    running = Machine(image, tmp_path)
    yield running
    running.close()


def test_it_is_small(image: Path) -> None:
    assert image.stat().st_size < LIMIT


def test_it_boots_and_takes_a_disk_and_a_nic(machine: Machine, tmp_path: Path) -> None:
    machine.wait_for("trial: ready")
    assert machine.wait_for("trial: disks: ").split() == ["vda", "nets:", "lo"]

    disk = tmp_path / "data.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "64M"], check=True)
    machine.ask(
        "blockdev-add", **{"driver": "qcow2", "node-name": "data", "file": {"driver": "file", "filename": str(disk)}}
    )
    machine.ask("device_add", driver="virtio-blk-pci", drive="data", id="disk1", bus="slot1")
    assert "vdb" in machine.wait_for("trial: disks: ").split()

    machine.ask("netdev_add", type="hubport", id="wire", hubid=0)
    machine.ask("device_add", driver="virtio-net-pci", netdev="wire", id="nic1", bus="slot2")
    assert "eth0" in machine.wait_for("trial: disks: ").split()
