"""The root file system that every lab host starts from: a bare server, installed from the lab's repository by dnf."""

from __future__ import annotations

import os
from pathlib import Path

from tests.lab.cache import Cache, code_digest, digest_of
from tests.lab.distribution import HOST
from tests.lab.process import run
from tests.lab.repository import repository

BASELINE = "baseline.txt"
GATEWAY = "10.77.0.254"
# name-epoch:version-release.arch, one package a line
NEVRA_FORMAT = r"%{NAME}-%|EPOCH?{%{EPOCH}}:{0}|:%{VERSION}-%{RELEASE}.%{ARCH}\n"

# The host's own repository, as any vendor's distribution has one. Nothing in the lab answers to its name.
_VENDOR_REPO = """\
[vendor-base]
name=Vendor base
baseurl=http://repo.vendor.invalid/7/base/
enabled=1
gpgcheck=1
"""

# Each host gets a key of its own at its first start, not the one that was made with the root.
_SSH_UNIT = """\
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'k=/etc/ssh/ssh_host_ed25519_key; [ -s $k ] || ssh-keygen -q -t ed25519 -N "" -f $k'
ExecStartPre=/usr/sbin/sshd -t
"""
# The lab is a distribution of its own, of the family that installs RPMs with dnf.
_OS_RELEASE = """\
NAME="Sealift Lab Linux"
ID=sealift-lab
ID_LIKE="rhel centos fedora"
VERSION_ID="7"
PRETTY_NAME="Sealift Lab Linux 7"
"""
_SSHD_CONFIG = "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\n"

_FILES = {
    "etc/yum.repos.d/vendor.repo": _VENDOR_REPO,
    "etc/systemd/system/ssh.service.d/lab.conf": _SSH_UNIT,
    "etc/ssh/sshd_config.d/lab.conf": _SSHD_CONFIG,
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=64M\n",
    "etc/resolv.conf": f"nameserver {GATEWAY}\noptions timeout:1 attempts:1\n",
    "etc/os-release": _OS_RELEASE,
    "etc/dnf/vars/releasever": "7\n",
}
# Terminals that nspawn has none for, and timers that would change hosts behind a test's back.
_MASKED = ("console-getty.service", "getty@.service", "dnf-makecache.timer", "fstrim.timer", "e2scrub_all.timer")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}


def root(cache: Cache) -> Path:
    """A folder with the root in `root/` and the list of what is installed in it in `baseline.txt`."""
    upstream = repository(cache)
    key = digest_of(*HOST, upstream.name, code_digest("root.py"))
    return cache.item("root", key, lambda folder: _make(upstream, folder))


def _make(upstream: Path, folder: Path) -> None:
    target = folder / "root"
    _make_devices(target / "dev")
    (target / "proc").mkdir()
    (target / "sys").mkdir()
    _install(upstream, target, folder / "dnf")
    _configure(target)
    # byte code now: a host that compiled it at first use would differ from its neighbour
    _inside(target, "python3", "-m", "compileall", "-q", "/usr/lib/python3", "/usr/lib/python3.11")
    _inside(target, "ldconfig")
    installed = _inside(target, "rpm", "-qa", "--qf", NEVRA_FORMAT)
    lines = sorted(line for line in installed.splitlines() if not line.startswith("gpg-pubkey-"))
    (folder / BASELINE).write_text("\n".join(lines) + "\n")


def _make_devices(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, (major, minor) in _DEVICES.items():
        os.mknod(folder / name, 0o20666, os.makedev(major, minor))
        (folder / name).chmod(0o666)


def _install(upstream: Path, target: Path, scratch: Path) -> None:
    scratch.mkdir()
    # Debian's rpm keeps its database in the home folder unless told otherwise
    (scratch / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    options = {
        "reposdir": "/nonexistent",
        "install_weak_deps": "0",
        "cachedir": str(scratch / "cache"),
        "tsflags": "nodocs",
    }
    settings = [f"--setopt={name}={value}" for name, value in options.items()]
    run(
        [
            *("dnf", "-y", "-q", f"--installroot={target}", "--releasever=7", "--disableplugin=*", "--nogpgcheck"),
            *settings,
            *(f"--repofrompath=lab,file://{upstream}", "install", "filesystem", *HOST),
        ],
        env={**os.environ, "HOME": str(scratch), "LC_ALL": "C.UTF-8"},
    )
    run(["rm", "-rf", scratch])


def _configure(target: Path) -> None:
    for name, text in _FILES.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    for unit in _MASKED:
        (target / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for key in (target / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/machine-id", "etc/debian_version", "usr/bin/yum"):
        (target / name).unlink(missing_ok=True)
    run(["rm", "-rf", target / "var/cache/dnf", target / "var/log/dnf.log", target / "var/log/dnf.rpm.log"])


def _inside(target: Path, *argv: str) -> str:
    clean = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    return run(["chroot", target, *argv], env=clean).stdout
