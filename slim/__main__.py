"""``python -m slim``."""

from __future__ import annotations

import sys

from venvstacks_slim import main

if __name__ == "__main__":
    sys.exit(main())
