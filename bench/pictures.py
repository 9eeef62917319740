"""Pictures of the page, for the docs: ``python -m bench.pictures STACK docs/images``.

Audits STACK (with the proof that a run makes), opens the page in headless Chromium and saves three
pictures. Needs selenium, chromium and chromedriver; with Pillow, the pictures take a third of the
bytes.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from slim.auditing.engine import AuditRequest, audit
from slim.config.load import load_config
from slim.passes import SCHEMAS
from slim.reports.html import page as html
from tests.support.browser import chromium, visit

WIDTH, HEIGHT = 1200, 970


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stack", type=Path)
    parser.add_argument("folder", type=Path)
    said = parser.parse_args()
    said.folder.mkdir(parents=True, exist_ok=True)
    config = load_config(SCHEMAS)
    found = audit(AuditRequest(source=said.stack, config=config, prove=True))
    with tempfile.TemporaryDirectory() as name, chromium(WIDTH, HEIGHT) as page:
        file = Path(name) / "page.html"
        file.write_text(html.render_audit(found), encoding="utf-8")
        visit(page, file)
        page.execute_script(
            "document.querySelector('.command')?.replaceChildren('slim run _artifacts -o OUT')"
        )
        for picture, steps in PICTURES.items():
            for step in steps:
                page.execute_script(step)
            take(page, said.folder / f"{picture}.png")


PICTURES = {
    "audit-map": ["slimPage.theme(false)"],
    "audit-state-dark": ["slimPage.theme(true); slimPage.set('colour', 'state')"],
    "audit-tables": [
        "slimPage.theme(false); slimPage.set('colour', 'category'); slimPage.tab = 'rules'; "
        "slimPage.refresh()",
        "document.getElementById('tables').scrollIntoView()",
    ],
}


def take(page: Any, file: Path) -> None:
    """Save what the window shows."""
    page.execute_script(
        "document.querySelector('.command')?.replaceChildren('slim run _artifacts -o OUT')"
    )
    page.save_screenshot(str(file))
    with suppress(ImportError):
        from PIL import Image

        with Image.open(file) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
