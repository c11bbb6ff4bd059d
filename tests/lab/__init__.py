"""The lab: an RPM distribution, a cached root and real hosts with systemd as PID 1, on a network without a way out."""

from tests.lab.cache import Cache
from tests.lab.capture import Packet, Traffic
from tests.lab.command import RunningCommand
from tests.lab.hosts import Host
from tests.lab.lab import Lab
from tests.lab.process import LabError
from tests.lab.site import Site
from tests.lab.storage import Snapshot

__all__ = ["Cache", "Host", "Lab", "LabError", "Packet", "RunningCommand", "Site", "Snapshot", "Traffic"]
