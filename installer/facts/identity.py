"""Who runs this, in which session, and which users there are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from installer.facts.accounts import Account, accounts
from installer.facts.model import Identity
from installer.facts.reading import answer, text
from installer.steps import Host

_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def look_at_identity(host: Host, users: Iterable[str]) -> Identity:
    """Look at user and session; changes nothing."""
    names = sorted(set(users))
    known = locale_names(answer(host, "locale", "-a") or "")
    locale = next((os.environ[name] for name in ("LC_ALL", "LANG") if os.environ.get(name)), None)
    return Identity(
        uid=os.geteuid(),
        umask=_umask(),
        users=accounts(names, host),
        groups=tuple(name for name in names if answer(host, "getent", "group", name)),
        root_home_fault=_root_home_fault(accounts(["root"], host).get("root")),
        bad_paths=tuple(entry for entry in os.environ.get("PATH", "").split(":") if _is_bad(entry)),
        locale=locale,
        locale_known=locale is None or not known or _plain(locale) in known,
        proxy=next((os.environ[name] for name in _PROXIES if os.environ.get(name)), None),
        no_proxy=os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")),
    )


def locale_names(listed: str) -> frozenset[str]:
    """The names that `locale -a` lists, as `_plain` writes them; `C` and `POSIX` are always there."""
    return frozenset(map(_plain, listed.split()))


def _plain(locale: str) -> str:
    """`en_US.UTF-8` and `en_US.utf8` are one."""
    name, dot, encoding = locale.partition(".")
    return name + dot + re.sub(r"[^a-z0-9]", "", encoding.lower())


def _umask() -> int:
    """The kernel tells; asking by setting it would change it for a moment."""
    found = re.search(r"^Umask:\s*([0-7]+)$", text(Path("/proc/self/status")), re.MULTILINE)
    return int(found[1], 8) if found else 0o022


def _root_home_fault(root: Account | None) -> str | None:
    if root is None:
        return "there is no user root"
    home = Path(root.home)
    if not home.is_dir():
        return f"{home} is no folder"
    info = home.stat()
    return f"{home} can be written by others" if info.st_uid != 0 or info.st_mode & 0o022 else None


def _is_bad(entry: str) -> bool:
    if not entry.startswith("/"):
        return True
    try:
        mode = Path(entry).stat().st_mode
    except OSError:
        return False
    return bool(mode & 0o002)
