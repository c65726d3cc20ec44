"""Checks the version of the PostgreSQL server."""

from __future__ import annotations

from sqlalchemy import Connection, text

from scheduler.domain.errors import ConfigurationError

MIN_MAJOR = 14
"""The oldest PostgreSQL that is still maintained."""


def server_version(conn: Connection) -> int:
    """Returns the server's `server_version_num`, such as 150018."""
    return int(conn.execute(text("SHOW server_version_num")).scalar_one())


def describe(number: int) -> str:
    """Formats a version number: `PostgreSQL 15.18`."""
    return f"PostgreSQL {number // 10_000}.{number % 10_000}"


def is_too_old(number: int) -> bool:
    """Whether the server is older than Reveille supports."""
    return number // 10_000 < MIN_MAJOR


def check_version(number: int) -> None:
    """Raises ConfigurationError when the server is too old."""
    if is_too_old(number):
        raise ConfigurationError(
            f"The server at DATABASE_URL is {describe(number)}, but Reveille needs {MIN_MAJOR} or newer: "
            "upgrade the server."
        )
