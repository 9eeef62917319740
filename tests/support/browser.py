"""A headless Chromium for tests and for the pictures in the docs.

Skips visibly where there is none.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECONDS = 30
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-first-run",
    "--hide-scrollbars",
)  # fmt: skip


@contextmanager
def chromium(
    width: int = 1440, height: int = 1040, *, scale: float = 1, still: bool = True
) -> Iterator[Any]:
    """A browser driver.

    ``still`` asks pages not to animate, so that nothing depends on when one looks.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium isn't installed")
    browser = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium and chromedriver aren't installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (
        *_FLAGS,
        f"--window-size={width},{height}",
        f"--force-device-scale-factor={scale}",
    ):
        options.add_argument(flag)
    if still:
        options.add_argument("--force-prefers-reduced-motion")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield page
    finally:
        page.quit()


def visit(page: Any, file: Path) -> None:
    """Open a page that slim wrote, and wait until its script has drawn it."""
    page.get(file.resolve().as_uri())
    deadline = time.monotonic() + SECONDS
    while page.execute_script("return document.body.dataset.ready") != "yes":
        if time.monotonic() > deadline:
            raise AssertionError(f"the page isn't ready: {page.get_log('browser')}")
        time.sleep(0.05)
