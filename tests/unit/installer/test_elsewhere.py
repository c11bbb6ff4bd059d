from __future__ import annotations

from pathlib import Path

import pytest

from installer.elsewhere import configured
from installer.layout import Layout
from installer.steps.postgresql import Postgresql
from payload.errors import InputError
from payload.manifest import Manifest

MANIFEST = {
    "product": {"name": "app", "version": "1.0", "title": "App"},
    "targets": [{"os": ["lab"], "arch": "x86_64", "python": ">=3.11"}],
    "server": {"requirements": ["./app"], "database": {"path": "app.db", "postgresql": {"config": "app.toml"}}},
}


def read(root: Path, text: str | None) -> Postgresql | None:
    """What is found when the configuration file holds `text`."""
    layout = Layout.of("app", root=root)
    layout.config_dir.mkdir(parents=True)
    if text is not None:
        (layout.config_dir / "app.toml").write_text(text)
    return configured(layout, Manifest.model_validate(MANIFEST))


@pytest.mark.parametrize("text", [None, "", "database = 1", "[database]\npath = 'x'"])
def test_a_product_with_its_own_file(tmp_path: Path, text: str | None) -> None:
    assert read(tmp_path, text) is None


def test_a_server_and_its_password(tmp_path: Path) -> None:
    found = read(tmp_path, "[database]\nurl = 'postgresql+psycopg://u@h:1/shop?x=y'\npassword_file = '/p'")
    assert found == Postgresql("postgresql://u@h:1/shop?x=y", Path("/p"))
    assert found.name == "shop"
    assert found.rehearsal == "postgresql://u@h:1/shop_rehearsal?x=y"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[database]\nurl = 'postgresql://u:s3cret@h/shop'", "has a password in it"),
        ("[database]\nurl = 'mysql://u@h/shop'", "is not postgresql://"),
        ("[database]\nurl = 'postgresql://u@h'", "is not postgresql://"),
        ("[database]\nurl = 3", "is no text"),
        ("[database", "does not say where"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, text)
    assert "s3cret" not in str(caught.value)
