"""Tells how this copy of Reveille was installed: from a checkout of its repository, or from a wheel."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

DISTRIBUTION = "reveille-server"
ROOT = Path(__file__).resolve().parents[1]
"""The directory that holds the packages: the checkout, or an environment's site-packages."""


def is_checkout() -> bool:
    """Whether Reveille runs from a checkout, whose `make` installs and starts it."""
    return (ROOT / "tools" / "setup").is_file()


def command() -> str:
    """What a person types for the command `reveille`."""
    return ".venv/bin/reveille" if is_checkout() else "reveille"


def run_command() -> str:
    """What a person types to start everything."""
    return "make run" if is_checkout() else "reveille run"


def embedded_command() -> str:
    """What a person types to install the embedded PostgreSQL."""
    return "make install" if is_checkout() else f"pip install '{DISTRIBUTION}[embedded]'"


def extra_command(extra: str) -> str:
    """What a person types to install what an optional part needs."""
    if is_checkout():
        return f".venv/bin/python -m pip install -r requirements/{extra}.txt"
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def installed_version() -> str | None:
    """The version of the distribution, or None when it was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None


def data_directory() -> Path:
    """Where data are kept unless REVEILLE_DATA_DIR says else: beside a checkout, else where the platform keeps them.

    Root's own directory is closed to the account that PostgreSQL runs under, so root gets /var/lib.
    """
    if is_checkout() or Path("var/secret.key").is_file():
        return Path("var")
    return Path("/var/lib/reveille") if os.geteuid() == 0 else platformdirs.user_data_path("reveille")


VERSION = installed_version() or "0"
