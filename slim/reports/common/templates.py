"""Templates of pages, which lie in the folder ``parts`` of a report's package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined


def page_part(package: str, name: str) -> str:
    """Text of a file in the folder ``parts`` of a package."""
    return files(package).joinpath("parts", name).read_text(encoding="utf-8")


@cache
def page_environment() -> Environment:
    """Environment of all pages: what isn't marked as safe is escaped, what isn't there raises."""
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
