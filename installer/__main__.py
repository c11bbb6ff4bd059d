"""Entry of the frozen runtime."""

import sys

from installer.cli import main

if __name__ == "__main__":
    sys.exit(main())
