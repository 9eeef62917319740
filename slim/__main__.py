"""``python -m slim``."""

from __future__ import annotations

import sys

from slim.cli import main

if __name__ == "__main__":
    sys.exit(main())
