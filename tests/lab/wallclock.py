"""A wall clock of a host that tests can set; see wallclock.c."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab.hosts import Host

_SOURCE = Path(__file__).with_name("wallclock.c")
_LIBRARY = "/usr/local/lib/wallclock.so"
_SHIFT = "/etc/wallclock-shift"
_SET = f"import sys; open('{_SHIFT}', 'r+b').write(int(sys.argv[1]).to_bytes(8, sys.byteorder, signed=True))"


@dataclass(frozen=True, slots=True)
class WallClock:
    """The time of day that programs of `host` see which started after `give`."""

    host: Host

    @classmethod
    def give(cls, host: Host) -> WallClock:
        """Give `host` a clock of its own, which is right."""
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "wallclock.so"
            subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, _SOURCE], check=True)
            host.put(library, _LIBRARY, 0o755)
        host.sh(f"head -c 8 /dev/zero >{_SHIFT}; echo {_LIBRARY} >/etc/ld.so.preload")
        return cls(host)

    def shift(self, seconds: int) -> None:
        """Let it be so much ahead of the right time from now on; it jumps for programs that run, too."""
        self.host.sh(self.shifting(seconds))

    def shifting(self, seconds: int) -> str:
        """A line of shell that does it."""
        return f'python3 -c "{_SET}" {seconds}'

    def now(self) -> int:
        """What it says, in seconds since the epoch."""
        return int(self.host.run(["date", "+%s"]).stdout)
