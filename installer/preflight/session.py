"""Checks of who runs this, and of what lies where the product wants to be."""

from __future__ import annotations

from collections.abc import Iterator

from installer.preflight.model import Misfit, Subject

_FIRST_PERSON = 1000
_OWN_ADDRESSES = ("localhost", "127.0.0.1", "*")


def root(subject: Subject) -> Iterator[Misfit]:
    """Only root may change the host."""
    uid = subject.facts.identity.uid
    if uid != 0:
        yield Misfit(f"user id {uid}", "root", "run it with sudo, or as root")


def umask(subject: Subject) -> Iterator[Misfit]:
    """Packages and commands run with it."""
    mask = subject.facts.identity.umask
    if mask & 0o022 != 0o022 or mask & 0o055:
        yield Misfit(f"the umask is {mask:04o}", "0022", "umask 0022")


def locale(subject: Subject) -> Iterator[Misfit]:
    """Programs complain, and fall back to C."""
    identity = subject.facts.identity
    if not identity.locale_known:
        yield Misfit(f"the locale {identity.locale} is not on this host", "one of locale -a", "export LC_ALL=C.UTF-8")


def root_home(subject: Subject) -> Iterator[Misfit]:
    """SSH refuses keys in a home that others can write."""
    if (fault := subject.facts.identity.root_home_fault) is not None:
        yield Misfit(fault, "a folder of root's own", "chown root: /root && chmod 0700 /root")


def path(subject: Subject) -> Iterator[Misfit]:
    """Somebody else could lay a command there that root runs."""
    for entry in subject.facts.identity.bad_paths:
        yield Misfit(f"PATH has {entry or 'an empty entry'!r}", "absolute folders of root's", "export PATH without it")


def proxy(subject: Subject) -> Iterator[Misfit]:
    """Health checks must not go out and come back."""
    identity = subject.facts.identity
    if identity.proxy and not any(name in identity.no_proxy.split(",") for name in _OWN_ADDRESSES):
        yield Misfit(
            f"a proxy is set: {_public(identity.proxy)}", "not for this host", "export no_proxy=localhost,127.0.0.1"
        )


def _public(proxy: str) -> str:
    """The proxy without user and password."""
    scheme, mark, rest = proxy.rpartition("://")
    return scheme + mark + rest.rpartition("@")[2]


def prefix_taken(subject: Subject) -> Iterator[Misfit]:
    """Releases without a record of them: of another product, or of an install whose state is lost."""
    for place in subject.taken.releases if subject.mode == "install" else ():
        fix = f"mv {place} {place}.old, or choose another place with -r"
        yield Misfit(f"{place} is there, but nothing is installed", "an empty prefix", fix)


def unit_taken(subject: Subject) -> Iterator[Misfit]:
    """The administrator's, or a package's, which ours would hide."""
    for place in subject.taken.units:
        yield Misfit(
            f"{place} is there and not of this product", "no such unit", f"rpm -qf {place}; remove what has it"
        )


def command_taken(subject: Subject) -> Iterator[Misfit]:
    """Somebody else's commands are not replaced."""
    for place in subject.taken.commands:
        yield Misfit(f"{place} is there and not of this product", "no such file", f"mv {place} {place}.old")


def user_taken(subject: Subject) -> Iterator[Misfit]:
    """The user may be there from an earlier install, as a system user."""
    name, account = subject.user, subject.facts.identity.users.get(subject.user)
    if subject.mode != "install" or name == "root" or account is None:
        return
    if account.uid == 0 or account.uid >= _FIRST_PERSON:
        kind = "root by another name" if account.uid == 0 else "a person's account"
        yield Misfit(
            f"the user {name} (uid {account.uid}) is {kind}", "a system user, or none", f"usermod -l OTHER-NAME {name}"
        )


def group_taken(subject: Subject) -> Iterator[Misfit]:
    """useradd would refuse."""
    identity, name = subject.facts.identity, subject.user
    if name in identity.groups and name not in identity.users:
        yield Misfit(f"there is a group {name}, but no such user", "both or neither", f"groupdel {name}")
