"""Gather all facts at once: what waits for another program or a name server waits beside the rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from installer.facts.host import look_at_system
from installer.facts.identity import look_at_identity
from installer.facts.kernel import look_at_kernel
from installer.facts.model import Facts, Wanted
from installer.facts.names import look_at_network
from installer.facts.packages import look_at_packages
from installer.facts.reading import fault
from installer.facts.services import look_at_clock, look_at_services
from installer.facts.storage import file_system, odd_temp_folders
from installer.steps import Host


def gather(host: Host, root: Path, wanted: Wanted) -> Facts:
    """Look at the host; changes nothing. Takes as long as the slowest program asked."""
    with ThreadPoolExecutor(max_workers=6) as pool:
        network = pool.submit(look_at_network, host, wanted.ports)
        packages = pool.submit(look_at_packages, host, wanted.conflicts)
        services = pool.submit(look_at_services, host, root)
        system = pool.submit(look_at_system, host, wanted.tools)
        identity = pool.submit(look_at_identity, host, wanted.users)
        clock = pool.submit(look_at_clock, host)
        programs = {name: pool.submit(fault, host, *argv) for name, argv in wanted.programs.items()}
        kernel = look_at_kernel(wanted.modules, wanted.settings, virtualization=wanted.virtualization)
        file_systems = tuple(file_system(path) for path in wanted.paths)
        return Facts(
            system=system.result(),
            kernel=kernel,
            network=network.result(),
            clock=clock.result(),
            packages=packages.result(),
            services=services.result(),
            identity=identity.result(),
            file_systems=file_systems,
            odd_temp_folders=odd_temp_folders(),
            refusals={name: said for name, future in programs.items() if (said := future.result()) is not None},
        )
