"""``python -m symgraph``."""

import sys

from symgraph.command import main

if __name__ == "__main__":
    sys.exit(main())
