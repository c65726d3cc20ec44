"""Reads how many connections the server allows Reveille."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from scheduler.storage.engine import is_outage, unpooled_engine

# No limit is -1 there, and `least` leaves out what is NULL. The last setting came with PostgreSQL 16.
LIMIT = text("""
    SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    )
""")


def read_connection_limit(sqlalchemy_url: str) -> int | None:
    """Returns the limit of the server, of our user or of the database, whichever is lowest; None in an outage."""
    engine = unpooled_engine(sqlalchemy_url)
    try:
        with engine.connect() as conn:
            limit: int = conn.execute(LIMIT).scalar_one()
            return limit
    except DBAPIError as error:
        if is_outage(error):
            return None
        raise
    finally:
        engine.dispose()
