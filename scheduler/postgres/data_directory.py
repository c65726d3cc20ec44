"""Creates the data directory, checks it, and restricts its permissions."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from scheduler.domain.errors import ConfigurationError
from scheduler.postgres.os_account import user_name

OURS = ("postgres", "pg_hba.conf", "pg_ident.conf", "reveille.", "secret.", ".")
"""The prefixes of the names in a data directory."""


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
