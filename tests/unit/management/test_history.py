"""What the shell remembers of what was typed."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from management.cli.history import KEPT, ShellHistory, blank_secrets

SECRET = "S3CRET"


@pytest.mark.parametrize(
    "given",
    [
        "password=S3CRET",
        "password='S3CRET S3CRET'",
        'password="S3CRET \\" S3CRET"',
        "Password=S3CRET",
        "password=a'S3CRET 'S3CRET",
        "password=a\\ S3CRET",
        "password='never closed S3CRET",
        "sessionUuid=S3CRET",
    ],
)
def test_secrets_are_blanked(given: str) -> None:
    assert SECRET not in blank_secrets(f"LogInByAccount accountName=admin {given}")
    assert blank_secrets(f"{given.partition('=')[0]}=x y=z").endswith("=****** y=z")


@given(st.text())
def test_whatever_a_password_is(password: str) -> None:
    line = f"LogInByAccount password={shlex.quote(password)} accountName=admin"
    assert blank_secrets(line) == "LogInByAccount password=****** accountName=admin"


def test_the_file_is_private_short_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "cli" / "history"
    file.parent.mkdir()
    file.write_text("".join(f"Old {number}\n" for number in range(KEPT)))
    history = ShellHistory(file)
    history.append_string("LogInByAccount password=S3CRET")
    history.append_string("two\nlines")
    assert history.get_strings()[-2:] == ["LogInByAccount password=******", "two\nlines"]
    assert file.stat().st_mode & 0o777 == 0o600
    lines = file.read_text().splitlines()
    assert (len(lines), lines[0], lines[-1]) == (KEPT, "Old 2", "two lines")
    assert next(iter(ShellHistory(file).load_history_strings())) == "two lines"
