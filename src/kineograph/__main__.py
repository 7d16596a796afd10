"""``python -m kineograph`` is ``kineograph``."""

import sys

from kineograph.apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
