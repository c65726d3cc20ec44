"""Finds and starts Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]
MISSING = "There is no Chromium: `make test` installs it, or: .venv/bin/playwright install chromium"


def start_chromium(playwright: Playwright) -> Browser | None:
    """Starts Playwright's own Chromium if it was downloaded, else the system's; returns None without either."""
    own = playwright.chromium.executable_path
    for path in (own if Path(own).exists() else None, *map(shutil.which, NAMES)):
        if path is not None:
            try:
                return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            except Error:
                continue
    return None
