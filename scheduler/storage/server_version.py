"""Which PostgreSQL Reveille works on."""

from __future__ import annotations

from sqlalchemy import Connection, text

from scheduler.domain.errors import ConfigurationError

MIN_MAJOR = 14
"""The oldest PostgreSQL that its makers still mend."""


def server_version(conn: Connection) -> int:
    """The server's `server_version_num`, such as 150018."""
    return int(conn.execute(text("SHOW server_version_num")).scalar_one())


def describe(number: int) -> str:
    """`PostgreSQL 15.18`."""
    return f"PostgreSQL {number // 10_000}.{number % 10_000}"


def is_too_old(number: int) -> bool:
    """Whether Reveille does not work on it."""
    return number // 10_000 < MIN_MAJOR


def check_version(number: int) -> None:
    """Raise ConfigurationError when the server is too old."""
    if is_too_old(number):
        raise ConfigurationError(
            f"DATABASE_URL leads to {describe(number)}, and Reveille needs {MIN_MAJOR} or newer: upgrade the server."
        )
