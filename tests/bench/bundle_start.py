"""Time from the command to the first step of an install, for `tests.bench.bundle`.

On a lab host without a network: the reference product, and the same with a large image in it. The peer is makeself with
the release's files, until the first line of its script; it unpacks everything before that.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Row, call, median
from tests.e2e.conftest import Bundles, sealift
from tests.lab import Host, Lab, Snapshot
from tests.reference import RELEASES
from tests.unit.builder.product import qcow2

_BUNDLE, _EVENTS = "/root/x.bin", "/root/events"
_IMAGE = """
[[images]]
name = "ballast"
path = "ballast.qcow2"
embed = true
"""


def rows(bundles: Bundles, release: Path, work: Path, megabytes: int, rounds: int) -> Iterator[Row]:
    """Our seconds to the first step for a small and a large payload, beside makeself with the small one."""
    large = with_image(bundles, work / "ballast", megabytes)
    (release / "first").write_text("#!/bin/sh\nexit 0\n")
    (release / "first").chmod(0o755)
    call("makeself", "--zstd", "--quiet", release, work / "first.run", "first", "./first")
    theirs = median(lambda: call("sh", work / "first.run", "--quiet"), rounds)
    with Lab.open() as lab:
        host = lab.boot("start")
        host.put(bundles.public_key, "/etc/sealift/trusted-keys.d/vendor.pub", 0o644)
        for name, bundle in {"reference": bundles["1.0.0"], f"{megabytes} MB more": large}.items():
            host.put(bundle, _BUNDLE)
            python = until_end(host, f"bash {_BUNDLE} --version", rounds)
            yield Row(f"--version by Python, {name}", python, "makeself's first line", theirs)
            step = first_step(host, host.snapshot(bundle.parents[1].name), rounds)
            yield Row(f"first step, {name}", step, "makeself's first line", theirs)
        lab.drop(host)


def with_image(bundles: Bundles, folder: Path, megabytes: int) -> Path:
    """The reference bundle with one more image, of so many MB."""
    folder.mkdir()
    tree = RELEASES["1.0.0"](folder)
    noise = random.Random(5)
    with (tree / "ballast.qcow2").open("wb") as image:
        image.write(qcow2())
        image.writelines(noise.randbytes(1 << 20) for _ in range(megabytes))
    manifest = tree / "bundle.toml"
    manifest.write_text(manifest.read_text() + _IMAGE)
    sealift("lock", manifest, cwd=folder)
    sealift("build", manifest, "--key", bundles.key, cwd=folder)
    (bundle,) = (folder / "dist").glob("*.bin")
    return bundle


def until_end(host: Host, command: str, rounds: int) -> float:
    """The median of the seconds that a command takes, by the host's clock."""
    said = [host.sh(f"date +%s.%N; {command} >/dev/null; date +%s.%N").split() for _ in range(rounds)]
    return statistics.median(float(over) - float(begun) for begun, over in said)


def first_step(host: Host, bare: Snapshot, rounds: int) -> float:
    """The median of the seconds until the first step begins; the run is killed then, and the host set back.

    What was copied for that is on the disk before: the first record of the journal would have to wait for it.
    """
    found = []
    for _ in range(rounds):
        os.sync()
        run = host.popen(["sh", "-c", f"date +%s.%N >/root/began; exec bash {_BUNDLE} -o -y --events {_EVENTS}"])
        begun = None
        while begun is None and run.poll() is None:
            time.sleep(0.05)
            begun = _first_step_begun(host)
        run.kill()
        output = run.finish(30).stdout
        if begun is None:
            raise SystemExit(f"no step was begun:\n{output}")
        found.append(begun - float(host.sh("cat /root/began")))
        host.restore(bare)
    return statistics.median(found)


def _first_step_begun(host: Host) -> float | None:
    lines = host.sh(f"test ! -e {_EVENTS} || cat {_EVENTS}").splitlines()
    events = (json.loads(line) for line in lines if line.endswith("}"))
    return next((each["time"] for each in events if each["event"] == "started" and each["stage"] == "step-0"), None)
