"""What VMs need to live: a place, addresses, disks, and a host that runs them (since 1.1.0)."""
