"""What Debian's maintainer scripts would have done, as RPM %post scripts, and provides that only RPMs have."""

from __future__ import annotations

_ACCOUNT = (
    "grep -q '^{name}:' /etc/passwd || "
    "{{ echo '{name}:x:{id}:{gid}::{home}:/usr/sbin/nologin' >> /etc/passwd; "
    "echo '{name}:!:19000::::::' >> /etc/shadow; }}\n"
    "grep -q '^[^:]*:[^:]*:{gid}:' /etc/group || echo '{name}:x:{gid}:' >> /etc/group\n"
)


def _account(name: str, number: int, home: str, group: int | None = None) -> str:
    return _ACCOUNT.format(name=name, id=number, gid=number if group is None else group, home=home)


_PASSWD = """\
master=/usr/share/base-passwd
[ -s /etc/passwd ] || cp $master/passwd.master /etc/passwd
[ -s /etc/group ] || cp $master/group.master /etc/group
[ -s /etc/shadow ] || { sed 's/:.*/:*:19000:0:99999:7:::/' /etc/passwd > /etc/shadow; chmod 640 /etc/shadow; }
"""

_BASE_FILES = """\
[ -e /etc/hosts ] || echo '127.0.0.1 localhost' > /etc/hosts
mkdir -p /root /home /var/log /var/tmp /var/mail /opt /srv /mnt
chmod 1777 /tmp /var/tmp
[ -e /etc/profile ] || cp /usr/share/base-files/profile /etc/profile
[ -e /root/.bashrc ] || cp /usr/share/base-files/dot.bashrc /root/.bashrc
"""

_PAM = """\
common() { [ -e "/etc/pam.d/common-$1" ] || echo "$2" > "/etc/pam.d/common-$1"; }
common auth 'auth required pam_unix.so nullok'
common account 'account required pam_unix.so'
common password 'password required pam_unix.so sha512'
common session 'session required pam_unix.so'
common session-noninteractive 'session required pam_unix.so'
"""

_SSHD = """\
mkdir -p /etc/ssh /etc/systemd/system/multi-user.target.wants
[ -e /etc/ssh/sshd_config ] || cp /usr/share/openssh/sshd_config /etc/ssh/sshd_config
ln -sf /lib/systemd/system/ssh.service /etc/systemd/system/multi-user.target.wants/ssh.service
"""

POST: dict[str, str] = {
    "base-files": _BASE_FILES,
    "base-passwd": _PASSWD,
    "dbus-system-bus-common": _account("messagebus", 101, "/nonexistent"),
    "debianutils": "ln -sf which.debianutils /usr/bin/which\n",
    "dnsmasq-base": _account("dnsmasq", 104, "/var/lib/misc", 65534),
    "gawk": "ln -sf gawk /usr/bin/awk\n",
    "libc-bin": "ldconfig || :\n",
    "libpam-runtime": _PAM,
    "mawk": "[ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk\n",
    "openssh-server": _account("sshd", 102, "/run/sshd", 65534) + _SSHD,
    "rpm": "mkdir -p /etc/rpm\necho '%%_dbpath /var/lib/rpm' > /etc/rpm/macros.zz-dbpath\n",
    "systemd": "systemd-sysusers || :\nsystemd-machine-id-setup || :\n",
}

# These run before coreutils and friends can be asked for: the requirement would be a cycle.
_EARLY = {"base-passwd", "libc-bin"}


def post_requires(name: str) -> list[str]:
    """What the %post script of `name` needs on the host before it runs."""
    if name not in POST or name in _EARLY:
        return []
    return ["coreutils", "sed", "grep", "libc-bin", "base-passwd"]


PROVIDES: dict[str, list[str]] = {
    "bash": ["/bin/bash", "/usr/bin/bash"],
    "base-files": ["system-release = 7", "system-release(releasever) = 7"],
    "dash": ["/bin/sh", "/usr/bin/sh"],
    "python3": ["/usr/bin/python3"],
}
