"""Signs of life that a process of a worker gives to the one that watches it: a file that it touches."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

EVERY_SECONDS = 5.0


def sign_of_life(directory: Path, pid: int) -> Path:
    """Returns the file that the process touches."""
    return directory / f"alive-{pid}"


async def give_signs_of_life(directory: Path) -> None:
    """Touches this process's file until cancelled, as long as the event loop turns."""
    while True:
        with suppress(OSError):  # nobody watches any more
            sign_of_life(directory, os.getpid()).touch()
        await asyncio.sleep(EVERY_SECONDS)
