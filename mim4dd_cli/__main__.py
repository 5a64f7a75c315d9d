"""`python -m mim4dd_cli` is `mim4dd`."""

import sys

from mim4dd_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
