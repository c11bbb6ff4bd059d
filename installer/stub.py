"""The stub that started this process, and what is done in its place when it is gone.

The stub unpacks the runtime into a temporary folder, waits for it, and removes the folder. Killed by SIGKILL it does
neither; then the runtime ends in order, as by SIGTERM, and removes the folder itself.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from payload.errors import ExitCode

STUB_VARIABLE = "SEALIFT_STUB"
"""The stub's process id."""
_PR_SET_PDEATHSIG = 1


@contextmanager
def followed(folder: Path) -> Iterator[None]:
    """Within this, the end of the stub, SIGTERM and SIGHUP interrupt this process as Ctrl-C does; `folder` is what the
    stub unpacked. Does nothing in a process that no stub started.

    Raises:
        SystemExit: the stub was gone already.
    """
    stub = os.environ.pop(STUB_VARIABLE, None)
    if stub is None:
        yield
        return
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(each, signal.default_int_handler)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        if _gone(stub):
            raise SystemExit(ExitCode.INTERRUPTED)
        yield
    finally:
        if _gone(stub):
            shutil.rmtree(folder, ignore_errors=True)


def _gone(stub: str) -> bool:
    return str(os.getppid()) != stub
