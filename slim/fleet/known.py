"""A task that the cache of results knows as a whole: published without reading a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from slim.model.outcome import RunResult
from slim.system.json_text import Json

if TYPE_CHECKING:
    from slim.config.settings import Config
    from slim.pipeline.known import Known


def known_settings(config: Config) -> Json | None:
    """Return what a task's process needs of a configuration to know a run again, as JSON.

    None where something in the configuration has no text, and for traces: a task reads those.
    """
    from slim.pipeline.whole import keyed_settings

    settings = keyed_settings(config)
    if settings is None or settings.traces:
        return None
    return {"settings": settings.settings, "limits": asdict(config.limits)}


def take_known(request: Mapping[str, Any]) -> Known | None:
    """Publish what a request asks for from its cache; None where it can't be there as a whole.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published.
    """
    stated = request.get("known")
    if stated is None or request["cache"] is None or request["dry_run"]:
        return None
    from slim.api.remote import places
    from slim.api.stage_log import logged_stages
    from slim.model.limits import Limits
    from slim.pipeline.known import publish_known
    from slim.pipeline.request import RunOrder
    from slim.pipeline.whole import KeyedSettings

    platforms = tuple(request["platforms"])
    with logged_stages(None) as observed, places(observed, platforms) as here:
        output = here.output(request["output"], force=request["force"])
        order = RunOrder(
            source=here.input(request["source"], later=True),
            output=output,
            platforms=platforms,
            force=request["force"],
            verify=request["verify"],
            unverified=request["unverified"],
            cache=request["cache"],
            previous=here.previous(request["previous"]),
        )
        known = publish_known(
            order,
            KeyedSettings(settings=stated["settings"]),
            Limits(**stated["limits"]),
            max(1, int(request["settings"]["jobs"])),
            observed,
        )
        return replace(known, results=here.renamed(known.results) if known.results else None)


def with_notes(results: tuple[RunResult, ...], known: Known | None) -> tuple[RunResult, ...]:
    """Return results of a run with what was found wrong with the cache before it began."""
    if known is None or not known.notes:
        return results
    return tuple(
        replace(
            result,
            cache=replace(
                result.cache, notes=tuple(dict.fromkeys((*known.notes, *result.cache.notes)))
            ),
        )
        if result.cache is not None
        else result
        for result in results
    )
