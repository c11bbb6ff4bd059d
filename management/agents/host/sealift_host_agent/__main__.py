"""Start the host agent: `sealift-host-agent --config FILE`.

It does the management server's work on this host: VMs by QEMU, volumes and snapshots by qemu-img.
"""

import argparse
import logging
from pathlib import Path

from . import __version__
from .agent import HostAgent
from .arriving import Arrivals
from .leaving import Departures
from .machines import Machines
from .rpc import RpcServer, Settings
from .volumes import Volumes

ACCELERATORS = "kvm,tcg"


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Sealift host agent: runs VMs on this host for the management server.",
        epilog="VMs go on when the agent ends; one that starts finds them again in its state folder.",
    )
    parser.add_argument("--config", type=Path, required=True, help="agent.json, as the deployment writes it")
    parser.add_argument(
        "--accelerators",
        default=ACCELERATORS,
        metavar="NAMES",
        help="what QEMU is to try, in this order (default: %(default)s; tcg works everywhere, and is slow)",
    )
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    settings = Settings.load(options.config)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    machines = Machines(settings.state_dir / "vms", options.accelerators.split(","))
    arrivals = Arrivals(machines, settings.listen_address)
    departures = Departures(machines, settings.listen_port, settings.token)
    agent = HostAgent(machines, Volumes(machines, settings.token), arrivals, departures)
    with RpcServer(settings, agent.calls()) as server:
        # Calls wait until it is done: they connect already, and this agent is the only one here.
        arrivals.recover()
        departures.recover()
        logging.info("listening on %s:%d", settings.listen_address, settings.listen_port)
        server.serve_forever()


if __name__ == "__main__":
    main()
