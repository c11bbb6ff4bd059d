"""PostgreSQL on hosts of the lab: a server, and the client programs as an administrator installs them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.lab import Host
from tests.lab.cache import Cache
from tests.lab.postgresql import environment, postgresql, programs


@cache
def unpacked() -> Path:
    """PostgreSQL's programs; they lie at the same place in the commander."""
    return postgresql(Cache())


def put_programs(host: Host) -> None:
    """PostgreSQL's programs at the same place in the host, for everybody."""
    host.put(unpacked(), str(unpacked()))
    for folder in unpacked().parents:
        host.run(["chmod", "a+x", str(folder)])


def give_clients(host: Host) -> None:
    """The client programs on everybody's PATH."""
    put_programs(host)
    variables = " ".join(f"{name}={value}" for name, value in environment(unpacked()).items())
    for program in ("pg_dump", "pg_restore", "psql"):
        script = f'#!/bin/sh\nexec env {variables} {programs(unpacked()) / program} "$@"\n'
        host.write(f"/usr/local/bin/{program}", script)
        host.run(["chmod", "755", f"/usr/local/bin/{program}"])


def start_database(host: Host) -> None:
    """PostgreSQL, reached by its superuser from the lab's network without a password, by others with one."""
    put_programs(host)
    variables = [f"--setenv={name}={value}" for name, value in environment(unpacked()).items()]
    run = ["systemd-run", "--quiet", "--uid=nobody", *variables]
    host.sh("install -d -o nobody -m 700 /var/pg")
    initdb = ["-D", "/var/pg/data", "-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync"]
    host.run([*run, "--wait", str(programs(unpacked()) / "initdb"), *initdb])
    rules = "host all postgres 10.77.0.0/24 trust\\nhost all all 10.77.0.0/24 scram-sha-256\\n"
    host.sh(f"printf '{rules}' >>/var/pg/data/pg_hba.conf")
    settings = ("listen_addresses=*", "unix_socket_directories=/var/pg", "fsync=off", "jit=off", "timezone=GMT")
    words = [word for setting in settings for word in ("-c", setting)]
    host.run([*run, "--unit=postgresql", str(programs(unpacked()) / "postgres"), "-D", "/var/pg/data", *words])
    ready = (
        f"env {' '.join(each.removeprefix('--setenv=') for each in variables)} {programs(unpacked()) / 'pg_isready'}"
    )
    host.sh(f"for i in $(seq 600); do {ready} -q -h 127.0.0.1 && exit 0; sleep 0.1; done; exit 1")
    create = f"{ready.replace('pg_isready', 'psql')} -h 127.0.0.1 -U postgres -c 'create database sealift'"
    host.sh(create)


def query(host: Host, statement: str, database: str = "sealift") -> str:
    """The answer of the server on `host`, asked by its superuser."""
    words = [f"{name}={value}" for name, value in environment(unpacked()).items()]
    psql = [str(programs(unpacked()) / "psql"), "-h", "127.0.0.1", "-U", "postgres", "-Atc", statement, database]
    return host.run(["env", *words, *psql]).stdout.strip()
