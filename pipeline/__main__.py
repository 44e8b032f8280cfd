"""`python -m pipeline`."""

import sys

from pipeline.core.cli import main

if __name__ == "__main__":
    sys.exit(main())
