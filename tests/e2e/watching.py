"""Acting on a host at a chosen moment of a run: the run's own journal says where it is."""

from __future__ import annotations

from tests.lab import Host

JOURNALS = "/var/lib/sealift/installer/journal"
STOP_THE_RUN = "kill -STOP $(cat /var/lib/sealift/installer/lock)"
"""An action: the run goes no further, and keeps its lock."""

# waits for a journal that was not there, then for the step of a kind to begin (or for a number of records), then acts
_SCRIPT = """
import json, os, pathlib, subprocess, sys, time
known, what, action = set(sys.argv[1].split()), sys.argv[2], sys.argv[3]
folder = pathlib.Path("/var/lib/sealift/installer/journal")
def lines():
    try:
        (path,) = (each for each in folder.glob("*.jsonl") if each.name not in known)
        return path.read_text().split("\\n")[:-1]
    except (OSError, ValueError):
        return []
while not (found := lines()):
    time.sleep(0.002)
if what.isdigit():
    reached = lambda: len(lines()) >= int(what)
else:
    n = [step["kind"] for step in json.loads(found[0])["plan"]["steps"]].index(what)
    reached = lambda: any('"record":"intended","n":%d,' % n in line for line in lines())
while not reached():
    time.sleep(0.002)
if action == "fill":
    file, room = os.open("/var/filler", os.O_WRONLY | os.O_CREAT), 0
    for size in (64 << 20, 1 << 20, 4096):
        try:
            while True:
                os.posix_fallocate(file, room, size)
                room += size
        except OSError:
            pass
elif action:
    subprocess.run(["sh", "-euc", action], check=True, stdout=subprocess.DEVNULL)
print("reached", flush=True)
"""


def journals(host: Host) -> set[str]:
    """Names of the journals on the host."""
    return set(host.run(["ls", JOURNALS], check=False).stdout.split())


def last_journal(host: Host) -> list[str]:
    """The records of the newest journal on the host, a line each."""
    return host.sh(f"cat $(ls -tr {JOURNALS}/*.jsonl | tail -1)").splitlines()


def watch(host: Host, what: str, action: str = "") -> list[str]:
    """The command line of a watcher on `host`: ends when the next run's journal has begun a step of the kind `what`,
    or has `what` records. At that moment it does `action`: a shell script, or `fill`, which takes all room of the disk.
    The run goes on meanwhile: what has to come before the step's end needs a step that takes seconds.
    """
    return ["python3", "-c", _SCRIPT, " ".join(journals(host)), what, action]
