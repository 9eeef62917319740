"""Short paths in the reports of an audit."""

from __future__ import annotations

from collections.abc import Callable

from slim.model.audit import Audit
from slim.reports.common.stacks import shortener


def shortener_of(result: Audit, *, verbose: bool) -> Callable[[str], str]:
    """Return a function that takes layer and site-packages folder off a deployed path.

    The name of a lone layer goes in any case. With ``verbose`` paths stay whole.
    """
    if verbose:
        return str
    shorten = shortener(result.stack)
    if len(result.layers) != 1:
        return shorten
    prefix = f"{result.layers[0].layer.name}/"
    return lambda path: shorten(path).removeprefix(prefix)
