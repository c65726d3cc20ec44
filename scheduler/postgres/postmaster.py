"""A PostgreSQL server seen as a process: which one is it, does it live, how it is stopped."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import psutil

STOP_SECONDS = 15.0
"""For each of the three ways to stop."""


def recorded_pid(data: Path) -> int | None:
    """The process that `postmaster.pid` names; None without such a file, or with one cut short."""
    with suppress(FileNotFoundError, ValueError):
        return int((data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    return None


def is_alive(pid: int) -> bool:
    """Whether the process runs still; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_server(pid: int, data: Path) -> bool:
    """Whether `pid` is a `postgres` started on `data`. The number alone says nothing, for numbers are reused.

    Asks only what a container's root may know of another user's process; its working directory is not.
    """
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and str(data) in process.cmdline()
    except psutil.Error:
        return False


def stop(pid: int) -> None:
    """Fast shutdown, then immediate (recovery follows at the next start), then by force."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(number)
            with suppress(psutil.TimeoutExpired):
                process.wait(STOP_SECONDS)
                return
