"""`make demo`: the reference bundle built, installed on a lab host without a network, and used."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.product import ADMIN_PASSWORD, wait_for_console
from tests.lab import Cache, Host, Lab
from tests.lab.__main__ import build, link
from tests.lab.command import enter, environment
from tests.paths import CHECKOUT

SEALIFT = Path(sys.executable).with_name("sealift")
KEY = CHECKOUT / "build" / "release.pem"
MANIFEST = "management/bundle.toml"


def heading(text: str) -> None:
    """A line between the parts of the output."""
    print(f"\n=== {text}", flush=True)


def here(*words: str | Path) -> None:
    """Show and run a command of this machine."""
    print(f"$ {shlex.join(map(str, words))}", flush=True)
    subprocess.run(words, cwd=CHECKOUT, check=True)


def there(host: Host, words: Sequence[str]) -> None:
    """Show and run a command on the host, its output as it comes."""
    print(f"[{host.name}]# {shlex.join(words)}", flush=True)
    subprocess.run(enter(host.container.leader, words), env=environment(None), stdin=subprocess.DEVNULL, check=True)


def built() -> Path:
    """The reference bundle, locked and built by the command line."""
    heading("the lab: an RPM repository, a host's root, a trial image")
    build(Cache())
    link(Cache(), CHECKOUT / "build" / "lab")
    if not KEY.exists():
        heading("a key pair")
        here(SEALIFT, "keygen", KEY)
    heading("from the manifest to one file")
    here(SEALIFT, "lock", MANIFEST)
    here(SEALIFT, "build", MANIFEST, "--key", KEY)
    return next((CHECKOUT / "dist").glob("sealift-installer-*.bin"))


def show(bundle: Path) -> None:
    """Install `bundle` on a host that has no network, and use the product."""
    with Lab.open() as lab:
        heading("a host of the lab: systemd is PID 1, there is no route to anywhere")
        host = lab.boot("management")
        there(host, ["ip", "route"])
        host.put(KEY.with_suffix(".pub"), "/etc/sealift/trusted-keys.d/vendor.pub", 0o644)
        host.put(bundle, f"/root/{bundle.name}")
        heading("one command installs it")
        there(host, ["bash", bundle.name, "-o"])
        heading("what runs now")
        there(host, ["sealift-ctl", "status"])
        heading("the shell of the management server")
        there(host, ["sealift-cli", "LogInByAccount", "accountName=admin", f"password-file={ADMIN_PASSWORD}"])
        wait_for_console(host)
        there(host, ["sealift-cli", "QueryConsoleProxyAgent"])


def main() -> None:
    began = time.monotonic()
    bundle = built()
    show(bundle)
    heading(f"done in {time.monotonic() - began:.0f} s; the bundle is {bundle}")


if __name__ == "__main__":
    main()
