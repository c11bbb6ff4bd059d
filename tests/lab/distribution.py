"""What the lab's distribution consists of. Names are Debian's; the lab turns each package into an RPM."""

from __future__ import annotations

# A bare server: what is on a host before anything of ours is installed.
HOST = (
    "base-files",
    "base-passwd",
    "bash",
    "bsdutils",
    "coreutils",
    "dash",
    "dbus",
    "debianutils",
    "diffutils",
    "dnf",
    "findutils",
    "gpg",
    "grep",
    "gzip",
    "hostname",
    "iproute2",
    "iputils-ping",
    "libc-bin",
    "login",
    "openssh-client",
    "openssh-server",
    "passwd",
    "perl-base",
    "procps",
    "python3",
    "rpm",
    "sed",
    "systemd",
    "systemd-sysv",
    "tar",
    "util-linux",
)

# In the repository only: what products pull in, so that an install really installs something.
WANTED = (
    "curl",
    "dnsmasq-base",
    "jq",
    "nftables",
    "qemu-utils",
    "rsync",
    "sqlite3",
    "strace",
    "tree",
)

# Made by the lab itself; everything else needs its links (/bin -> usr/bin, …) first.
FILESYSTEM_SPEC = r"""
%define _buildshell /bin/bash
Name: filesystem
Version: 3.2
Release: 25.lab
Summary: The usr-merged base layout
License: MIT
BuildArch: x86_64
AutoReqProv: no
%description
Folders and links that every other package relies on.
%install
cd %{buildroot}
mkdir -p usr/{bin,sbin,lib,lib64,lib32,libx32,local} proc sys dev run tmp etc root home srv mnt opt boot media
mkdir -p var/{lib,log,cache,tmp,spool}
for link in bin sbin lib lib64 lib32 libx32; do ln -s usr/$link $link; done
ln -s /run var/run
ln -s /run/lock var/lock
%files
/bin
/sbin
/lib
/lib64
/lib32
/libx32
/var/run
/var/lock
%dir /usr/bin
%dir /usr/sbin
%dir /usr/lib
%dir /usr/lib64
%dir /usr/lib32
%dir /usr/libx32
%dir /usr/local
%dir %attr(555,root,root) /proc
%dir %attr(555,root,root) /sys
%dir /dev
%dir /run
%dir %attr(1777,root,root) /tmp
%dir %attr(1777,root,root) /var/tmp
%dir /etc
%dir %attr(700,root,root) /root
%dir /home
%dir /srv
%dir /mnt
%dir /opt
%dir /boot
%dir /media
%dir /var/lib
%dir /var/log
%dir /var/cache
%dir /var/spool
"""

# A package as a vendor would write it, in two versions: a daemon with a unit, and the configuration it needs.
AGENT_VERSIONS = ("1.0", "1.1")
AGENT_SPEC = r"""
%define _buildshell /bin/bash
Name: sealift-demo-agent
Version: @VERSION@
Release: 1
Summary: A daemon for tests of installs and upgrades
License: MIT
BuildArch: noarch
AutoReqProv: no
Requires: sealift-demo-common >= @VERSION@
Requires(post): systemd
Provides: agent(sealift-demo) = %{version}
%description
Sleeps until it is told not to.
%package -n sealift-demo-common
Summary: Configuration of sealift-demo-agent
%description -n sealift-demo-common
One configuration file.
%install
mkdir -p %{buildroot}/usr/lib/systemd/system %{buildroot}/usr/bin %{buildroot}/etc/sealift-demo
cat > %{buildroot}/usr/lib/systemd/system/sealift-demo-agent.service <<'UNIT'
[Unit]
Description=Demo agent @VERSION@
[Service]
ExecStart=/usr/bin/sealift-demo-agent
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
printf '#!/bin/sh\n# version @VERSION@\nexec sleep infinity\n' > %{buildroot}/usr/bin/sealift-demo-agent
chmod 755 %{buildroot}/usr/bin/sealift-demo-agent
echo 'version=@VERSION@' > %{buildroot}/etc/sealift-demo/agent.conf
%files
/usr/bin/sealift-demo-agent
/usr/lib/systemd/system/sealift-demo-agent.service
%files -n sealift-demo-common
%dir /etc/sealift-demo
%config(noreplace) /etc/sealift-demo/agent.conf
%post
systemctl daemon-reload || :
if [ "$1" -eq 1 ]; then systemctl enable --now sealift-demo-agent.service || :
else systemctl restart sealift-demo-agent.service || :; fi
%preun
if [ "$1" -eq 0 ]; then systemctl disable --now sealift-demo-agent.service || :; fi
%postun
systemctl daemon-reload || :
"""
