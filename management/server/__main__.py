"""`python -m management.server` is `sealift-server`."""

from management.server.main import main

main()
