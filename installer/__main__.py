"""Entry of the frozen runtime."""

import sys
from pathlib import Path

from installer.cli import main
from installer.stub import followed

if __name__ == "__main__":
    with followed(Path(sys.executable).parent):
        sys.exit(main())
