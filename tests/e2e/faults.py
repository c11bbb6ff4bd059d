"""What goes wrong at customers' sites, one cause for each kind of step: the rows of docs/faults.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

On = Literal["bare", "running", "upgraded"]

_IN_THE_WAY = "mkdir -p {}/in-the-way"
_READ_ONLY = "mount --bind {0} {0}; mount -o remount,ro,bind {0}"
_FULL = (
    "cp -a {0} /run/copy; mount -t tmpfs -o nr_inodes=$(($(find {0} | wc -l) + {1})) full {0}; cp -a /run/copy/. {0}/; "
    "chown --reference=/run/copy {0}; chmod --reference=/run/copy {0}; rm -r /run/copy"
)
"""A file system that has room for the files that are there, and for so many others."""
_PORT_TAKEN = (
    'nohup python3 -c \'import socket, time; s = socket.socket(); s.bind(("127.0.0.1", 8080)); s.listen(); '
    "time.sleep(600)' >/dev/null 2>&1 & echo $! >/run/intruder; sleep 0.3"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A step of the kind `step` fails on a host in the state `on`; if that is empty, what fails has no steps.

    `cause` is a shell script that runs before, or with `at` while a step of that kind is at work; `cure` takes it away.
    `words` is the run if it is not the usual one for that host: the install of `bundle` on a bare host, the upgrade on
    the others.
    """

    id: str
    step: str
    on: On
    says: str
    cause: str = ""
    cure: str = ""
    at: str = ""
    bundle: str = ""
    words: tuple[str, ...] = ()
    code: int = 30


BACKUP = "/root/all.tar"
"""A backup of the host in the state `running`."""
RESTORE = ("sealift-ctl", "restore", BACKUP, "-y")
UNINSTALL = ("sealift-ctl", "uninstall", "-y")
REPAIR = ("sealift-ctl", "verify", "--repair", "-y")
_RELEASE = "/opt/sealift/releases/1.0.0"
_SCRIPT = f"{_RELEASE}/venv/bin/sealift-server"
LEFT_BY_CLEAN_UP = "rm -f /var/lib/sealift/keys/known_hosts"
"""The product looks whom it talks to when it cleans up; undoing an uninstall does not forget that."""
ROLLBACK = ("sealift-ctl", "rollback", "-y")


def _blocked(id: str, step: str, path: str, says: str = "is not a plain file", at: str = "", on: On = "bare") -> Fault:
    """A folder lies where the step wants a file."""
    cure = f"rm -r {path}; rmdir --ignore-fail-on-non-empty {path.rpartition('/')[0]}"
    return Fault(id, step, on, says, cause=_IN_THE_WAY.format(path), cure=cure, at=at)


FAULTS = (
    Fault(
        "account-file-locked",
        "user",
        "bare",
        "cannot lock /etc/passwd",
        cause="sleep 600 >/dev/null 2>&1 & echo $! >/run/intruder; cp /run/intruder /etc/passwd.lock",
        cure="kill $(cat /run/intruder); rm /etc/passwd.lock",
    ),
    Fault(
        "rpm-database-locked",
        "",
        "bare",
        "holds the package manager's lock",
        code=20,
        cause='nohup python3 -c \'import fcntl, time; f = open("/var/lib/rpm/.rpm.lock", "a"); '
        "fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(600)' >/dev/null 2>&1 & echo $! >/run/intruder; sleep 0.3",
        cure="kill $(cat /run/intruder)",
    ),
    _blocked("package-file-in-the-way", "packages", "/usr/bin/sqlite3", "sqlite3"),
    Fault(
        "dnf-killed", "packages", "bare", "exited with -9", at="packages", cause="until pkill -KILL -x dnf; do :; done"
    ),
    Fault(
        "pip-killed",
        "venv",
        "bare",
        "exited with -9",
        at="venv",
        cause="until pkill -KILL -f '[p]ip-.*whl/pip install'; do sleep 0.01; done",
    ),
    Fault(
        "configuration-read-only",
        "folders",
        "bare",
        "Read-only file system",
        cause=_READ_ONLY.format("/etc/sealift"),
        cure="umount /etc/sealift",
    ),
    _blocked("keyring-in-the-way", "write-files", "/var/lib/sealift/installer/trust.json", at="venv"),
    Fault(
        "secret-disk-full",
        "secrets",
        "bare",
        "No space left on device",
        cause=_FULL.format("/etc/sealift", 0),
        cure="umount /etc/sealift",
        at="venv",
    ),
    Fault(
        "ssh-key-damaged",
        "ssh-key",
        "bare",
        "[ssh-key-unreadable]",
        cause="mkdir -p /var/lib/sealift/keys; echo nonsense >/var/lib/sealift/keys/id_ed25519",
        cure="rm -r /var/lib/sealift/keys",
    ),
    Fault(
        "database-damaged",
        "database-backup",
        "bare",
        "cannot be copied",
        cause="mkdir -p /var/lib/sealift; head -c 8192 /dev/urandom >/var/lib/sealift/sealift.db",
        cure="rm /var/lib/sealift/sealift.db",
    ),
    _blocked("configuration-in-the-way", "config", "/etc/sealift/server.toml", at="venv"),
    Fault(
        "images-in-the-way",
        "images",
        "bare",
        "[io-failed]",
        at="venv",
        cause="touch /var/lib/sealift/images",
        cure="rm /var/lib/sealift/images",
    ),
    Fault(
        "set-up-fails",
        "command",
        "bare",
        "[product-command-failed]",
        at="venv",
        cause="touch /var/lib/sealift/tls",
        cure="rm /var/lib/sealift/tls",
    ),
    _blocked("unit-in-the-way", "units", "/etc/systemd/system/sealift-server.service", at="venv"),
    _blocked("command-in-the-way", "links", "/usr/local/bin/sealift-cli", at="venv"),
    _blocked("current-in-the-way", "switch", "/opt/sealift/current", at="venv"),
    _blocked("record-in-the-way", "record", "/var/lib/sealift/installer/state.json", at="venv"),
    Fault(
        "port-taken", "start", "bare", "[start-failed]", cause=_PORT_TAKEN, cure="kill $(cat /run/intruder)", at="venv"
    ),
    Fault("never-answers", "health", "bare", "[unhealthy]", bundle="never-answers"),
    Fault(
        "log-folder-read-only",
        "",
        "running",
        "cannot write /var/log/sealift/",
        code=20,
        cause=_READ_ONLY.format("/var/log/sealift"),
        cure="umount -l /var/log/sealift",
    ),
    Fault(
        "unit-not-to-be-stopped",
        "stop",
        "running",
        "[undo-failed]",
        code=31,
        cause="d=/etc/systemd/system/sealift-server.service.d; mkdir $d; "
        "printf '[Unit]\\nRefuseManualStop=yes\\n' >$d/no.conf; systemctl daemon-reload",
        cure="rm -r /etc/systemd/system/sealift-server.service.d; systemctl daemon-reload",
    ),
    _blocked("new-default-in-the-way", "config-keep", "/etc/sealift/server.toml.new", on="running"),
    Fault(
        "kept-database-damaged",
        "database-restore",
        "upgraded",
        "[database-damaged]",
        words=ROLLBACK,
        cause="cd /var/lib/sealift/installer/backup/*/kept; cp -p database.sqlite /run/; "
        "dd if=/dev/urandom of=database.sqlite bs=4096 count=2 seek=1 conv=notrunc 2>/dev/null",
        cure="cp -p /run/database.sqlite /var/lib/sealift/installer/backup/*/kept/",
    ),
    Fault(
        "configuration-disk-full",
        "restore-files",
        "upgraded",
        "No space left on device",
        words=ROLLBACK,
        cause=f"echo '# mine' >>/etc/sealift/server.toml; {_FULL.format('/etc/sealift', 0)}",
        cure="umount /etc/sealift; sed -i '$d' /etc/sealift/server.toml",
    ),
    Fault(
        "package-database-read-only",
        "packages-remove",
        "running",
        "[rolled-back]",
        words=UNINSTALL,
        cause=_READ_ONLY.format("/var/lib/rpm"),
        cure=f"umount /var/lib/rpm; {LEFT_BY_CLEAN_UP}",
    ),
    Fault(
        "ssh-folder-read-only",
        "ssh-revoke",
        "running",
        "Read-only file system",
        words=UNINSTALL,
        cause=_READ_ONLY.format("/root/.ssh"),
        cure=f"umount /root/.ssh; {LEFT_BY_CLEAN_UP}",
    ),
    Fault(
        "backup-disk-full",
        "",
        "running",
        "No space left on device",
        words=("sealift-ctl", "backup", "/mnt/small/all.tar"),
        code=2,
        cause="mkdir /mnt/small; mount -t tmpfs -o size=256k small /mnt/small",
        cure='test -z "$(ls -A /mnt/small)"; umount /mnt/small; rmdir /mnt/small',
    ),
    Fault(
        "no-room-to-restore",
        "unpack-backup",
        "running",
        "No space left on device",
        words=RESTORE,
        cause=_FULL.format("/etc/sealift", 0),
        cure="umount /etc/sealift",
    ),
    Fault(
        "mounted-meanwhile",
        "swap",
        "running",
        "umount -l /var/lib/sealift/keys",
        words=RESTORE,
        at="unpack-backup",
        cause="mount --bind /var/lib/sealift/keys /var/lib/sealift/keys",
        cure="umount /var/lib/sealift/keys",
    ),
    Fault(
        "mounted-in-environment",
        "aside",
        "running",
        f"umount -l {_RELEASE}/venv/lib",
        words=REPAIR,
        cause=f"echo '# more' >>{_SCRIPT}; mount --bind {_RELEASE}/venv/lib {_RELEASE}/venv/lib",
        cure=f"umount -l {_RELEASE}/venv/lib; sed -i '$d' {_SCRIPT}",  # the server was started there again
    ),
    Fault(
        "release-read-only",
        "aside",
        "running",
        "Read-only file system",
        words=REPAIR,
        cause=f"echo '# more' >>{_SCRIPT}; {_READ_ONLY.format(_RELEASE)}",
        cure=f"umount -l {_RELEASE}; sed -i '$d' {_SCRIPT}",
    ),
    Fault(
        "no-room-to-repair",
        "venv",
        "running",
        "No space left on device",
        words=REPAIR,
        cause=f"echo '# more' >>{_SCRIPT}; {_FULL.format(_RELEASE, 100)}",
        cure=f"umount -l {_RELEASE}; sed -i '$d' {_SCRIPT}; systemctl restart sealift-server",
    ),
    Fault(
        "rights-read-only",
        "rights",
        "running",
        "Read-only file system",
        words=REPAIR,
        cause=f"chmod o+r /etc/sealift/admin_password; {_READ_ONLY.format('/etc/sealift')}",
        cure="umount -l /etc/sealift; chmod o-r /etc/sealift/admin_password",
    ),
)
