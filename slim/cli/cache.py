"""``slim cache``: what is in a cache of results, what can go, and what is wrong in it."""

from __future__ import annotations

import sys

import click

from slim import api
from slim.cli.groups import SuggestingGroup
from slim.cli.options import SectionCommand, option
from slim.cli.terminal import emit, style_for
from slim.errors import IntegrityError

_EXAMPLES = (
    ("slim cache stats /var/cache/slim", "how much is in it"),
    ("slim cache prune s3://bucket/cache --max-size 50GB --older-than 30", "make room"),
    ("slim cache verify /var/cache/slim --drop", "read all of it, and remove what is wrong"),
)


class _Bytes(click.ParamType):  # type: ignore[type-arg]
    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the bytes that a text says."""
        from slim.model.size import parse_size

        try:
            return value if isinstance(value, int) else parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group("cache", cls=SuggestingGroup, examples=_EXAMPLES)
def cache_group() -> None:
    """Look after a cache of results, which --cache of slim run and slim delta fill.

    PLACE is a folder or a URL. Readings of single files are remembered elsewhere, and need no care.
    """


@cache_group.command("stats", cls=SectionCommand, short_help="Tell what is in it.")
@click.argument("place")
@option("--json", "as_json", is_flag=True, help="As JSON.")
def stats_command(place: str, as_json: bool) -> None:
    """Tell how many results and bytes are in the cache at PLACE."""
    found = api.cache_stats(place)
    from slim.reports.cache import json_v1, terminal

    emit(json_v1.stats(found) if as_json else terminal.stats(found, style_for(sys.stdout)))


@cache_group.command("prune", cls=SectionCommand, short_help="Remove what is old.")
@click.argument("place")
@option("--max-size", type=_Bytes(), metavar="SIZE", help="Keep at most this much, such as 50GB.")
@option(
    "--older-than",
    type=click.IntRange(min=0),
    metavar="DAYS",
    help="Remove what was of no use for so many days.",
)
@option("--dry-run", is_flag=True, help="Tell what would go; remove nothing.")
@option("--json", "as_json", is_flag=True, help="As JSON.")
def prune_command(
    place: str, max_size: int | None, older_than: int | None, dry_run: bool, as_json: bool
) -> None:
    """Remove from the cache at PLACE what leads nowhere, and what is old or too much.

    Runs may use it meanwhile: what they don't find they make anew.
    """
    found = api.prune_cache(place, max_size=max_size, older_than=older_than, dry_run=dry_run)
    from slim.reports.cache import json_v1, terminal

    emit(json_v1.pruned(found) if as_json else terminal.pruned(found, style_for(sys.stdout)))


@cache_group.command("verify", cls=SectionCommand, short_help="Find what is wrong in it.")
@click.argument("place")
@option("--drop", is_flag=True, help="Remove what is wrong.")
@option("--json", "as_json", is_flag=True, help="As JSON.")
def verify_command(place: str, drop: bool, as_json: bool) -> None:
    """Read every entry and blob of the cache at PLACE, and compare them with their names.

    The exit code is 5 where something is wrong and stays. A run finds what is wrong too, when it
    meets it, and makes it anew.
    """
    found = api.verify_cache(place, drop=drop)
    from slim.reports.cache import json_v1, terminal

    emit(json_v1.verified(found) if as_json else terminal.verified(found, style_for(sys.stdout)))
    if found.wrong and not drop:
        raise IntegrityError(
            f"{len(found.wrong)} of {found.tried} entries and blobs are wrong",
            file=found.place,
            hint="--drop removes them; runs make them anew",
        )
