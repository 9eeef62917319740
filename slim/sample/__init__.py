"""A real stack to try slim on, put together in seconds from files that are on this machine anyway.

The runtime layer is the Python that runs slim, the framework layer holds packages that slim
itself requires, and the application layer a module that uses all of them. It is published as
``venvstacks publish`` would, except that the archives are compressed quickly: compare what is
installed, not what is archived, or pack again first.
"""

from __future__ import annotations

from typing import Final

APPLICATION: Final = "app-sample"
"""Application layer. Deployed, it runs as ``app-sample/bin/python -m sample_app``."""

LAUNCH_MODULE: Final = "sample_app"
"""Module that the application layer starts."""
