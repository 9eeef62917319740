"""Small published stacks that really run: their runtime layer starts the tests' own Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from slim.verification.dynamic.session import host
from tests.support.published_stacks import (
    SITE,
    Content,
    Files,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
)

RUNTIME = "cpython3.13"
FRAMEWORK = "framework-maths"
APPLICATION = "app-main"
IN_FRAMEWORK = f"{SITE}/maths"

_BASE = Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def python_script(*layers: str) -> str:
    """A command that starts the tests' Python with the packages of these layers, own first."""
    sites = ":".join(f"$layers/{layer}/{SITE}" for layer in layers)
    return (
        "#!/bin/sh\n"
        'here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)\n'
        'layers=$(dirname -- "$(dirname -- "$here")")\n'
        f'PYTHONPATH="{sites}" exec "{_BASE}" -s -S "$@"\n'
    )


def running_stack(
    folder: Path,
    *,
    maths: Mapping[str, Content] | None = None,
    application: str = "print('started')\n",
    more: Files | None = None,
    metadata: str = "",
) -> Path:
    """Publish a stack whose application layer runs ``main_app``.

    Its framework holds the distribution ``maths`` with these files (relative to its package).
    ``more`` are files of the application layer.
    """
    files = {
        f"maths/{name}": content for name, content in {"__init__.py": "", **(maths or {})}.items()
    }
    publish(
        folder,
        {
            RUNTIME: LayerSpec(
                "runtime",
                {"bin/python": python_script(RUNTIME), f"{SITE}/README.txt": "site-packages\n"},
            ),
            FRAMEWORK: LayerSpec(
                "framework",
                merge(
                    distribution("maths", files, metadata=metadata),
                    {
                        "bin/python": python_script(FRAMEWORK, RUNTIME),
                        "bin/python_": Link(f"../../{RUNTIME}/bin/python"),
                    },
                ),
            ),
            APPLICATION: LayerSpec(
                "application",
                merge(
                    {
                        f"{SITE}/main_app.py": application,
                        "bin/python": python_script(APPLICATION, FRAMEWORK, RUNTIME),
                        "bin/python_": Link(f"../../{RUNTIME}/bin/python"),
                    },
                    more or {},
                ),
                requires=(FRAMEWORK,),
                launch_module="main_app",
            ),
        },
        platform=host().tag,
    )
    return folder


def fault(file: Path, *globs: str, name: str = "fault") -> Path:
    """A rule file that removes what it shouldn't."""
    plain = [glob.replace("$site", SITE).replace("/**", "/x") for glob in globs]
    file.write_text(
        "\n".join(
            [
                "schema = 1",
                'description = "A fault on purpose"',
                "[[rule]]",
                f'id = "{name}"',
                'pass = "leftovers"',
                'safety = "standard"',
                'reason = "nobody needs it"',
                'source = "https://example.org/"',
                f"remove = {list(globs)!r}",
                f"examples.match = {[plain[0]]!r}",
                'examples.no_match = ["something/else"]',
            ]
        )
        + "\n",
        encoding="utf-8",
    )
    return file
