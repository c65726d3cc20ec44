"""Creates, checks and protects the data directory, and identifies, checks and stops the server process that uses it."""

from __future__ import annotations

import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

import psutil

from scheduler.domain.errors import ConfigurationError
from scheduler.postgres.os_account import user_name

OURS = ("postgres", "pg_hba.conf", "pg_ident.conf", "reveille.", "secret.", ".")
"""The prefixes of the names in a data directory."""
STOP_SECONDS = 15.0
"""The timeout of each of the three ways to stop."""


def ensure_directory(path: Path) -> None:
    """Creates the data directory.

    Raises ConfigurationError with a remedy when that, or using it, is not permitted.
    """
    remedy = remedy_for(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {path} cannot be created: {error.strerror}; {remedy}"
        ) from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"The data directory {path} may not be read and written; {remedy}")
    _close(path)


def _close(path: Path) -> None:
    """Restricts the data directory to its owner, unless it holds other files, as /tmp or a home directory would."""
    is_ours = path.stat().st_uid == os.geteuid() and all(entry.name.startswith(OURS) for entry in path.iterdir())
    if is_ours and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)


def remedy_for(path: Path) -> str:
    """Returns the remedy when `path` may not be used.

    Suggests chown only inside a directory of ours, as after a run by root: nobody should take over /root. Root can
    use any path.
    """
    remedy = "choose another directory with REVEILLE_DATA_DIR"
    is_ours = os.path.exists(path) and os.access(path.parent, os.W_OK)  # noqa: PTH110  # Path.exists may raise
    chown = f", or: sudo chown -R {user_name(os.geteuid())} '{path}'"
    return remedy + chown if os.geteuid() and is_ours else remedy


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
