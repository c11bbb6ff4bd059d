"""Runs that are struck at a chosen system call: strace's injection of errors and signals."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab import Host
from tests.lab.command import enter, environment


def run_injected(
    host: Host, words: Sequence[str], options: Sequence[str], log: Path
) -> subprocess.CompletedProcess[str]:
    """Run `words` in the host to its end with `options` for strace, which hold for every process of the run; what was
    struck is in `log`."""
    strace = ["strace", "-f", "-qq", "-y", "-o", str(log), *options, "--"]
    return subprocess.run(
        [*strace, *enter(host.container.leader, words)],
        env=environment(None),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
