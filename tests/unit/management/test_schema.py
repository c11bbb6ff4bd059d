"""Migrations: to head in one transaction, refused for newer schemas, undone as a whole when one fails."""

import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
BROKEN = '''
import sqlalchemy as sa
from alembic import op

revision = "1.2.0"
down_revision = "1.1.0"


def upgrade() -> None:
    op.create_table("HalfVO", sa.Column("uuid", sa.String(32), primary_key=True))
    op.execute("""UPDATE "AccountVO" SET name = 'changed'""")
    op.execute("SELECT * FROM no_such_table")
'''


def test_migrate_twice(make_install: Any) -> None:
    install = make_install()
    assert install.run("migrate").stdout == "schema none -> 1.1.0\n"
    assert install.run("migrate").stdout == "schema 1.1.0: nothing to do\n"


def test_a_newer_schema_is_refused_and_left_alone(make_install: Any) -> None:
    install = make_install().prepare()
    install.sql("update alembic_version set version_num = '9.9.9'")
    before = install.database.read_bytes()
    for words in (("migrate",), ("serve",)):
        done = install.run(*words, stdin="x\n")
        assert done.returncode == 3, words
        assert "9.9.9" in done.stderr
        assert "Traceback" not in done.stderr
    assert install.database.read_bytes() == before


def test_serve_refuses_an_old_schema(make_install: Any) -> None:
    done = make_install().run("serve")
    assert done.returncode == 1
    assert "migrate" in done.stderr


def test_a_failing_migration_changes_nothing(make_install: Any, tmp_path: Path) -> None:
    make_install("a").prepare()
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "build", "agents", "image")
    shutil.copytree(ROOT / "management", copy / "management", ignore=ignored)
    (copy / "management/server/migrations/versions/v1_2_0_broken.py").write_text(BROKEN)
    install = make_install("b", copy)
    shutil.copy(tmp_path / "a/data/sealift.db", install.database)
    before = install.database.read_bytes()
    done = install.run("migrate")
    assert done.returncode == 1
    assert "no_such_table" in done.stderr
    assert install.sql("select name from AccountVO") == [("admin",)]
    assert install.sql("select name from sqlite_master where name = 'HalfVO'") == []
    assert install.sql("select version_num from alembic_version") == [("1.1.0",)]
    assert install.database.read_bytes() == before


NO_WAY_BACK = '''
revision = "1.2.0"
down_revision = "1.1.0"


def upgrade() -> None:
    """All is well."""


def downgrade() -> None:
    raise RuntimeError("there is no way back")
'''


def test_a_rehearsal_finds_a_way_back_that_fails(make_install: Any, tmp_path: Path) -> None:
    make_install("a").prepare()
    release, copy = tmp_path / "copy", tmp_path / "copy.db"
    ignored = shutil.ignore_patterns("__pycache__", "build", "agents", "image")
    shutil.copytree(ROOT / "management", release / "management", ignore=ignored)
    shutil.copy(tmp_path / "a/data/sealift.db", copy)
    install = make_install("b", release)
    assert install.run("migrate", "--copy", copy).stdout == "schema 1.1.0: nothing to do\n"
    (release / "management/server/migrations/versions/v1_2_0.py").write_text(NO_WAY_BACK)
    done = install.run("migrate", "--copy", copy)
    assert done.returncode == 1
    assert "there is no way back" in done.stderr
    assert not install.database.exists()


def test_a_copy_goes_there_and_back(make_install: Any, tmp_path: Path) -> None:
    install = make_install()
    assert install.run("migrate", "--to", "1.0.0").stdout == "schema none -> 1.0.0\n"
    shutil.copy(install.database, tmp_path / "copy.db")
    assert install.run("migrate", "--copy", tmp_path / "copy.db").stdout == "schema 1.0.0 -> 1.1.0\n"
    assert install.sql("select version_num from alembic_version") == [("1.0.0",)]


def test_passwords(make_install: Any) -> None:
    install = make_install().prepare()
    (stored,) = install.sql("select passwordHash from AccountVO")
    assert stored[0].startswith("$argon2id$")
    assert install.run("set-admin-password", stdin="\n").returncode == 1
    assert "kept" in install.run("set-admin-password", "--if-unset", stdin="two\n").stdout
    assert install.sql("select passwordHash from AccountVO") == [stored]
    assert "is set" in install.run("set-admin-password", stdin="two\n").stdout
    assert install.sql("select passwordHash from AccountVO") != [stored]


@pytest.mark.parametrize(
    ("text", "said"),
    [("listen_port = 99999", "listen_port"), ("colour = 1", "colour"), ("= nonsense", "not TOML")],
)
def test_configuration_mistakes(make_install: Any, text: str, said: str) -> None:
    install = make_install()
    install.config.write_text(text)
    done = install.run("migrate")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
