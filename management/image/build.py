"""Build the trial image: a FAT disk with syslinux, Debian's cloud kernel, and a busybox initramfs.

Usage: python -m management.image.build OUT.qcow2

Needs on this machine: apt, dpkg-deb, mtools, syslinux, dosfstools, qemu-img and busybox-static. Nothing is installed:
the kernel package is downloaded and opened.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from management.effects import Processes
from management.image import initramfs

KERNEL = "linux-image-cloud-amd64"
BUSYBOX = Path("/bin/busybox")
DISK_SIZE = 32 << 20
# in the order in which they can be loaded
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
)
_INIT = Path(__file__).with_name("init.sh")
_BOOT_CONFIG = """\
DEFAULT trial
LABEL trial
  KERNEL vmlinuz
  INITRD initrd
  APPEND console=ttyS0 quiet panic=5
"""
# a time that does not change, so that neither does the image
_STABLE = {"SOURCE_DATE_EPOCH": "1700000000", "MTOOLS_SKIP_CHECK": "1"}


class ImageError(Exception):
    """The image cannot be built; the message says which step and why."""


def build(output: Path) -> None:
    """Write the bootable image to `output`, replacing what is there only when it is complete.

    Raises:
        ImageError: a tool is missing or failed, or the kernel package is not what it was.
    """
    with tempfile.TemporaryDirectory(prefix="trial-image-") as temporary:
        work = Path(temporary)
        unpacked = _fetch_kernel(work)
        kernel = _only(unpacked / "boot", "vmlinuz-*").read_bytes()
        modules = _only(unpacked / "lib/modules", "*") / "kernel"
        ramdisk = initramfs.pack(_nodes(modules))
        disk = _make_disk(work, {"vmlinuz": kernel, "initrd": ramdisk, "syslinux.cfg": _BOOT_CONFIG.encode()})
        partial = output.with_name(f".{output.name}.{os.getpid()}")
        _run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(disk), str(partial)])
        partial.replace(output)


def kernel_package(shown: str) -> str:
    """The package that holds the kernel itself, from `apt-cache show` of the package that names the newest one.

    Raises:
        ImageError: it depends on no kernel.
    """
    match = re.search(r"^Depends:.*?\b(linux-image-[0-9][\w.+-]*)", shown, re.MULTILINE)
    if match is None:
        raise ImageError(f"{KERNEL} names no kernel package")
    return match[1]


def _fetch_kernel(work: Path) -> Path:
    name = kernel_package(_run(["apt-cache", "show", "--no-all-versions", KERNEL]))
    _run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name], cwd=work)
    unpacked = work / "kernel"
    _run(["dpkg-deb", "-x", str(_only(work, "*.deb")), str(unpacked)])
    return unpacked


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ImageError(f"expected one {pattern} in the kernel package, found {len(found)}")
    return found[0]


def _nodes(modules: Path) -> list[initramfs.Node]:
    """The content of the initramfs."""
    folders = [initramfs.folder(name) for name in ("bin", "dev", "modules", "proc", "root", "sys", "tmp")]
    loaded = [
        initramfs.plain(f"modules/{Path(name).name}.ko", (modules / f"{name}.ko").read_bytes()) for name in MODULES
    ]
    order = "".join(f"{Path(name).name}.ko\n" for name in MODULES)
    return [
        *folders,
        initramfs.console("dev/console", (5, 1)),
        initramfs.executable("bin/busybox", BUSYBOX.read_bytes()),
        initramfs.executable("init", _INIT.read_bytes()),
        initramfs.plain("modules/order", order.encode()),
        *loaded,
    ]


def _make_disk(work: Path, files: dict[str, bytes]) -> Path:
    disk = work / "disk.raw"
    with disk.open("wb") as handle:
        handle.truncate(DISK_SIZE)
    _run(["mkfs.vfat", "--invariant", "-n", "TRIAL", str(disk)])
    _run(["syslinux", "--install", str(disk)])
    for name, content in files.items():
        source = work / name
        source.write_bytes(content)
        os.utime(source, (1700000000, 1700000000))
        _run(["mcopy", "-m", "-i", str(disk), str(source), f"::{name}"])
    return disk


def _run(argv: Sequence[str], cwd: Path | None = None) -> str:
    """Run a tool to its end and return what it said.

    Raises:
        ImageError: it failed.
    """
    finished = Processes().run(argv, env=_STABLE, cwd=cwd)
    if finished.code != 0:
        raise ImageError(f"{' '.join(argv)}: exit {finished.code}\n{finished.stderr.strip()}")
    return finished.stdout


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m management.image.build OUT.qcow2\n")
        return 2
    try:
        build(Path(arguments[0]).resolve())
    except ImageError as error:
        sys.stderr.write(f"trial image: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
