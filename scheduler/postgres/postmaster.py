"""Identifies, checks and stops a PostgreSQL server process."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import psutil

STOP_SECONDS = 15.0
"""The timeout of each of the three ways to stop."""


def recorded_pid(data: Path) -> int | None:
    """Reads the pid in `postmaster.pid`; None when the file is missing or truncated."""
    with suppress(FileNotFoundError, ValueError):
        return int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    return None


def is_alive(pid: int) -> bool:
    """Whether the process is running; a zombie is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_server(pid: int, data: Path) -> bool:
    """Whether `pid` is a `postgres` started on `data`. A number alone is not enough, since pids are reused.

    Reads only what root in a container may know of another user's process; the working directory is not part of
    that.
    """
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and str(data) in process.cmdline()
    except psutil.Error:
        return False


def stop(pid: int) -> None:
    """Stops the server: fast shutdown, then immediate (recovery follows at the next start), then SIGKILL."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(number)
            with suppress(psutil.TimeoutExpired):
                process.wait(STOP_SECONDS)
                return
