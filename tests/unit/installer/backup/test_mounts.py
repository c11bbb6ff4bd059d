"""What is mounted within the product's folders is found before a restore would remove it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from installer.backup.mounts import check_mounts
from installer.layout import Layout
from payload.errors import UsageError
from tests.paths import CHECKOUT

LINE = "36 35 98:0 / {} rw,noatime shared:1 - ext3 /dev/root rw\n"
LOOK = """
import sys
from pathlib import Path
from installer.backup.mounts import check_mounts
from installer.layout import Layout
from installer.mounts import mountinfo
check_mounts(Layout.of("app", root=Path(sys.argv[1])), mountinfo())
"""


def test_mounts_within_are_named_and_others_do_not_matter() -> None:
    layout = Layout.of("app")
    for place in ("/", "/var/lib/app", "/var/lib/app-other", "/var/lib", "/etc", "/var/lib/app/installer",
                  "/var/lib/app/installer/backup", "/opt/app"):  # fmt: skip
        check_mounts(layout, LINE.format(place))
    text = "".join(LINE.format(place) for place in ("/var/lib/app/with\\040blank", "/etc/app/deep/er", "/home"))
    with pytest.raises(UsageError) as caught:
        check_mounts(layout, text)
    assert caught.value.details == "/etc/app/deep/er\n/var/lib/app/with blank"


def test_a_real_mount_is_found(tmp_path: Path) -> None:
    inside = tmp_path / "var/lib/app/files"
    inside.mkdir(parents=True)
    script = 'mount --bind "$1" "$1" && exec "$2" -c "$3" "$4"'
    words = ("unshare", "--mount", "sh", "-c", script, "sh", str(inside), sys.executable, LOOK, str(tmp_path))
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert "mounted within the folders" in done.stderr, done.stderr
    outside = (sys.executable, "-c", LOOK, str(tmp_path))
    subprocess.run(outside, check=True, env=environment)
