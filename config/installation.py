"""Detects how Reveille was installed: from a checkout of its repository, or from a wheel."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

DISTRIBUTION = "reveille-server"
ROOT = Path(__file__).resolve().parents[1]
"""The directory of the packages: the checkout, or an environment's site-packages."""


def is_checkout() -> bool:
    """Whether Reveille runs from a checkout, where `make` installs and starts it."""
    return (ROOT / "tools" / "setup").is_file()


def command() -> str:
    """Returns the shell command for `reveille`, as it works in the current directory."""
    if not is_checkout():
        return "reveille"
    return ".venv/bin/reveille" if Path.cwd() == ROOT else str(ROOT / ".venv/bin/reveille")


def run_command() -> str:
    """Returns the shell command that starts everything."""
    return "make run" if is_checkout() else "reveille run"


def embedded_command() -> str:
    """Returns the shell command that installs the embedded PostgreSQL."""
    return "make install" if is_checkout() else f"pip install '{DISTRIBUTION}[embedded]'"


def extra_command(extra: str) -> str:
    """Returns the shell command that installs the requirements of an optional part."""
    if is_checkout():
        return f".venv/bin/python -m pip install -r requirements/{extra}.txt"
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def installed_version() -> str | None:
    """Returns the version of the distribution, or None when it is not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None


def data_directory() -> Path:
    """Returns the default of REVEILLE_DATA_DIR: in a checkout beside it, else the platform's data directory.

    Root's own directory is closed to PostgreSQL's account, so root gets /var/lib, as does a user without a home, such
    as a container's.
    """
    if is_checkout() or Path("var/secret.key").is_file():
        return Path("var")
    if os.geteuid() != 0:
        with suppress(RuntimeError):
            return platformdirs.user_data_path("reveille")
    return Path("/var/lib/reveille")


VERSION = installed_version() or "0"
