"""Release 1.0.0 is this release without its newer files; it serves, and its database migrates with its rows."""

from pathlib import Path
from typing import Any

import pytest

from tests.reference import sources_of_1_0_0

ROOT = Path(__file__).parents[3]
HOST_COLUMNS = (
    "uuid, zoneUuid, clusterUuid, name, managementIp, hypervisorType, state, status, username, sshPort,"
    " totalCpuCapacity, availableCpuCapacity, totalMemoryCapacity, availableMemoryCapacity,"
    " createDate, lastOpDate"
)
CREATED, SEEN = "2026-01-01 10:00:00.000000", "2026-02-02 11:00:00.000000"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A folder that holds management/ of release 1.0.0."""
    root = tmp_path / "older"
    sources_of_1_0_0(root)
    return root


def add_host(install: Any, uuid: str, status: str) -> None:
    ((zone, cluster),) = install.sql("select zoneUuid, uuid from ClusterEO")
    row = (uuid, zone, cluster, uuid[:4], "192.0.2.1", "KVM", "Enabled", status, "root", 22, 1, 1, 1, 1)
    marks = ", ".join("?" * 16)
    install.sql(f"insert into HostEO ({HOST_COLUMNS}) values ({marks})", *row, CREATED, SEEN)


def test_it_serves_and_its_database_migrates(make_install: Any, older: Path) -> None:
    install = make_install("site", older)
    assert install.run("migrate").stdout == "schema none -> 1.0.0\n"
    install.prepare()
    for running in install.serve():
        assert running.get("/healthz").json() == {"status": "ok", "version": "1.0.0"}
        session = running.log_in()
        assert running.shell("QueryConsoleProxyAgent").returncode == 1
        hosts = running.post("org.zstack.header.host.APIQueryHostMsg", conditions=[], session=session)
        assert hosts["org.zstack.header.host.APIQueryHostReply"] == {"inventories": [], "success": True}
    add_host(install, "a" * 32, "Connected")
    add_host(install, "b" * 32, "Disconnected")
    accounts = install.sql("select * from AccountVO")
    hosts = install.sql(f"select {HOST_COLUMNS} from HostEO")

    install.root = ROOT
    assert install.run("serve").returncode == 1
    assert install.run("migrate").stdout == "schema 1.0.0 -> 1.1.0\n"

    assert install.sql("select * from AccountVO") == accounts
    assert install.sql(f"select {HOST_COLUMNS} from HostEO") == hosts
    assert install.sql("select lastSeenDate from HostEO order by uuid") == [(SEEN,), (CREATED,)]
    install.sql("update HostEO set deleted = lastOpDate")
    for running in install.serve():
        assert running.get("/healthz").json()["version"] == "1.1.0"
        assert running.log_in()
    # The older release must not touch what the newer one wrote.
    install.root = older
    assert install.run("serve").returncode == 3
