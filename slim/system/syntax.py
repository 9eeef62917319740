"""Python sources as syntax trees, without a word on what is odd in them."""

from __future__ import annotations

import ast
import warnings


def parsed(source: str | bytes) -> ast.Module:
    """Parse somebody else's source, whose warnings (invalid escapes) are nobody's here.

    Raises what :func:`ast.parse` raises: SyntaxError, ValueError, RecursionError or MemoryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)
