"""`python -m management.cli` is `sealift-cli`."""

from management.cli.main import main

main()
