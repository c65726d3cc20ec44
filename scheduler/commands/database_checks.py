"""The doctor's checks of the database, and of what the running processes wrote there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from scheduler.commands.findings import Finding, fail, ok, warn
from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError
from scheduler.storage.engine import unpooled_engine
from scheduler.storage.migrate import current_revision, head_revision
from scheduler.storage.secrets import SecretBox
from scheduler.storage.status import read_signs_of_life

MIN_MAJOR = 14
"""The oldest PostgreSQL that its makers still mend."""
MAX_PASS_AGE = 15.0
"""Seconds; a scheduler passes at least every 5."""
MAX_HEARTBEAT_AGE = 30.0
"""Seconds; a worker shows itself every 10."""
CLOCK_NOTICED = timedelta(seconds=2)
CLOCK_HARMFUL = timedelta(seconds=60)
"""Signed webhooks are refused when their time is minutes off."""
SECRETS_TRIED = 1000


def check_database(sqlalchemy_url: str, secret_key: str | None, clock: Clock) -> Iterator[Finding]:
    """Each finding in turn; after one that makes the rest pointless there is none."""
    engine = unpooled_engine(sqlalchemy_url)
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=True)  # as psql takes it
    try:
        with engine.connect() as conn:
            yield _version(conn, address)
            migrations = _migrations(conn)
            yield migrations
            yield _clocks(conn, clock)
            if migrations.remedy is None:
                yield from _signs_of_life(conn)
                yield _secrets(conn, secret_key)
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        yield fail("database", f"{address}: {reason}", "see that it runs, and that DATABASE_URL is right")
    finally:
        engine.dispose()


def _version(conn: Connection, address: str) -> Finding:
    number = int(conn.execute(text("SHOW server_version_num")).scalar_one())
    found = f"PostgreSQL {number // 10_000}.{number % 10_000} at {address}"
    if number // 10_000 < MIN_MAJOR:
        return fail("database", found, f"use PostgreSQL {MIN_MAJOR} or newer")
    return ok("database", found)


def _migrations(conn: Connection) -> Finding:
    head, current = head_revision(), current_revision(conn)
    if current == head:
        return ok("migrations", f"at {head}, the newest")
    found = "the database was never migrated" if current is None else f"at {current}, this version needs {head}"
    return fail("migrations", found, "`reveille migrate`")


def _clocks(conn: Connection, clock: Clock) -> Finding:
    before = clock.now()
    database = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    here = before + (clock.now() - before) / 2
    apart = abs(database - here)
    found = f"this process and the database are {apart.total_seconds():.2f} s apart"
    remedy = "set both by NTP; what is due is decided by the database's clock"
    if apart > CLOCK_HARMFUL:
        return fail("clocks", found, remedy)
    return warn("clocks", found, remedy) if apart > CLOCK_NOTICED else ok("clocks", found)


def _signs_of_life(conn: Connection) -> Iterator[Finding]:
    signs = read_signs_of_life(conn)
    yield _alive("scheduler", "the last pass was", signs.last_pass_age, MAX_PASS_AGE)
    yield _alive("worker", "the last sign of life was", signs.worker_heartbeat_age, MAX_HEARTBEAT_AGE)


def _alive(name: str, what: str, age: float | None, limit: float) -> Finding:
    if age is None:
        return warn(name, "none runs", "start one: `reveille run` or `reveille worker`")
    found = f"{what} {age:.0f} s ago"
    if age > limit:
        return fail(name, found, "start one: `reveille run` or `reveille worker`, and see its log")
    return ok(name, found)


def _secrets(conn: Connection, secret_key: str | None) -> Finding:
    """Whether what is stored encrypted opens with the key that this process was given."""
    blobs = conn.execute(
        text("""
            SELECT runtime_secret FROM agents WHERE runtime_secret IS NOT NULL AND deleted_at IS NULL
            UNION ALL SELECT secret FROM triggers WHERE secret IS NOT NULL AND deleted_at IS NULL
            LIMIT :limit
        """),
        {"limit": SECRETS_TRIED},
    ).scalars()
    stored = [bytes(blob) for blob in blobs]
    if secret_key is None:
        if not stored:
            return ok("secret key", "not made yet, and nothing is stored under one")
        return fail(
            "secret key", "there is none", "restore `secret.key` in the data directory, or REVEILLE_SECRET_KEY"
        )
    closed = sum(not _opens(SecretBox(secret_key), blob) for blob in stored)
    if closed:
        found = f"{closed} of {len(stored)} stored secrets do not open with it"
        return fail("secret key", found, "start with the REVEILLE_SECRET_KEY that stored them, or set them anew")
    return ok(
        "secret key", f"opens all {len(stored)} stored secrets" if stored else "set; no secret is stored yet"
    )


def _opens(box: SecretBox, blob: bytes) -> bool:
    try:
        box.decrypt(blob)
    except ConfigurationError:
        return False
    return True
