"""The doctor's checks of the database, of a pooler before it, and of the heartbeats that processes write there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from scheduler.commands.doctor.findings import Finding, fail, ok, warn
from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError
from scheduler.storage.engine import POOLED, unpooled_engine
from scheduler.storage.migrate import (
    MIN_MAJOR,
    current_revision,
    describe,
    head_revision,
    is_too_old,
    server_version,
)
from scheduler.storage.pooler import supports_listen
from scheduler.storage.read_models.status import read_signs_of_life
from scheduler.storage.secrets import SecretBox

NAME = "pooler"
DATABASE = (
    "SELECT pg_postmaster_start_time()::text, (SELECT oid FROM pg_database WHERE datname = current_database())"
)
SET_DIRECT = "set DATABASE_DIRECT_URL to the address of PostgreSQL itself"
MAX_PASS_AGE = 15.0
"""In seconds. A scheduler runs a pass at least every 5."""
MAX_HEARTBEAT_AGE = 30.0
"""In seconds. A worker sends a heartbeat every 10."""
CLOCK_NOTICED = timedelta(seconds=2)
CLOCK_HARMFUL = timedelta(seconds=60)
"""Signed webhooks are refused when their timestamp is minutes off."""
CAUSES = (
    (
        ("statement pooling mode",),
        "its pooler uses statement pooling, but Reveille needs transactions",
        "set `pool_mode = transaction` in PgBouncer",
    ),
    (
        (
            "password authentication failed",
            "no password supplied",
            "Peer authentication failed",
            "Ident authentication",
        ),
        "the server refuses this user and password",
        "correct the user and the password in DATABASE_URL",
    ),
    (
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        "the server does not allow this user to connect from here",
        "allow it in the server's pg_hba.conf, or use TLS: ?sslmode=require",
    ),
    (
        ("FATAL:  database", 'database "'),
        "there is no such database",
        "create it (`createdb NAME`), or correct the name in DATABASE_URL",
    ),
    (
        ("FATAL:  role", 'role "'),
        "there is no such user",
        "create it (`createuser NAME`), or correct it in DATABASE_URL",
    ),
    (
        ("too many clients", "remaining connection slots", "too many connections"),
        "the server has no connection left",
        "stop what uses them, or raise max_connections",
    ),
    (
        ("starting up", "shutting down", "in recovery mode"),
        "the server is starting or stopping",
        "wait and try again",
    ),
    (
        ("Connection refused", "No such file or directory"),
        "no PostgreSQL is listening there",
        "start it, or correct host and port in DATABASE_URL",
    ),
    (
        ("resolve host", "translate host name", "Name or service not known"),
        "there is no host of that name",
        "correct the host in DATABASE_URL",
    ),
    (
        ("timeout", "timed out", "No route to host", "Network is unreachable"),
        "the host cannot be reached",
        "check the network and its firewall, or correct the host in DATABASE_URL",
    ),
    (("SSL", "certificate"), "the two do not agree on TLS", "correct sslmode and certificates in DATABASE_URL"),
)
"""Errors of PostgreSQL and its client, what they mean, and the remedy."""
SECRETS_TRIED = 1000


def check_pooler(conn: Connection, direct_url: str | None) -> Iterator[Finding]:
    """Checks what is in front of the database, and whether session features work."""
    is_pooled = conn.info[POOLED]
    if direct_url is not None:
        yield _direct(conn, direct_url, "through a pooler," if is_pooled else "without a pooler")
    elif is_pooled:
        yield warn(NAME, "a pooler blocks NOTIFY, so schedulers and pages poll every second", SET_DIRECT)


def _direct(conn: Connection, direct_url: str, how: str) -> Finding:
    here = tuple(conn.execute(text(DATABASE)).one())
    try:
        with psycopg.connect(direct_url, connect_timeout=5, autocommit=True) as direct:
            there, is_direct = direct.execute(DATABASE.encode()).fetchone(), supports_listen(direct)
    except psycopg.Error as error:
        found = (
            f"DATABASE_DIRECT_URL does not answer: {(str(error).strip().splitlines() or ['no reason given'])[0]}"
        )
        return fail(NAME, found, "correct it, or unset it")
    if there != here:
        return fail(NAME, "DATABASE_DIRECT_URL is a different database from DATABASE_URL", "correct one of them")
    if not is_direct:
        return warn(NAME, "DATABASE_DIRECT_URL goes through a pooler, which blocks NOTIFY", SET_DIRECT)
    return ok(NAME, f"{how} LISTEN uses DATABASE_DIRECT_URL")


def check_database(
    sqlalchemy_url: str, secret_key: str | None, clock: Clock, direct_url: str | None = None
) -> Iterator[Finding]:
    """Yields each finding; stops after one that makes the others pointless.

    `direct_url` is the address that bypasses a pooler, if there is one.
    """
    engine = unpooled_engine(sqlalchemy_url)
    # in the form that psql accepts
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=True)
    try:
        with engine.connect() as conn:
            version = _version(conn, address)
            yield version
            if version.remedy is not None:
                return
            yield from check_pooler(conn, direct_url)
            migrations = _migrations(conn)
            yield migrations
            yield _clocks(conn, clock)
            if migrations.remedy is None:
                yield from _signs_of_life(conn)
                yield _secrets(conn, secret_key)
    except DBAPIError as error:
        yield refused(address, str(error.orig))
    finally:
        engine.dispose()


def refused(address: str, complaint: str) -> Finding:
    """Returns the finding for an unreachable database: the cause and its remedy."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()] or ["it does not answer"]
    for words, cause, remedy in CAUSES:
        said = next((line for line in lines if any(word in line for word in words)), None)
        if said is not None:
            return fail("database", f"{address}: {cause} ({said})", remedy)
    return fail("database", f"{address}: {lines[0]}", "check that it is running and that DATABASE_URL is correct")


def _version(conn: Connection, address: str) -> Finding:
    number = server_version(conn)
    found = f"{describe(number)} at {address}"
    if is_too_old(number):
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
    remedy = "synchronize both with NTP; the database's clock decides what is due"
    if apart > CLOCK_HARMFUL:
        return fail("clocks", found, remedy)
    return warn("clocks", found, remedy) if apart > CLOCK_NOTICED else ok("clocks", found)


def _signs_of_life(conn: Connection) -> Iterator[Finding]:
    signs = read_signs_of_life(conn)
    yield _alive("scheduler", "the last pass was", signs.last_pass_age, MAX_PASS_AGE)
    yield _alive("worker", "the last heartbeat was", signs.worker_heartbeat_age, MAX_HEARTBEAT_AGE)


def _alive(name: str, what: str, age: float | None, limit: float) -> Finding:
    if age is None:
        return warn(name, "none runs", "start one: `reveille run` or `reveille worker`")
    found = f"{what} {age:.0f} s ago"
    if age > limit:
        return fail(name, found, "start one: `reveille run` or `reveille worker`, and check its log")
    return ok(name, found)


def _secrets(conn: Connection, secret_key: str | None) -> Finding:
    """Checks whether stored secrets can be decrypted with this process's key."""
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
            return ok("secret key", "not created yet; no stored secret needs it")
        return fail(
            "secret key", "there is none", "restore `secret.key` in the data directory, or REVEILLE_SECRET_KEY"
        )
    closed = sum(not _opens(SecretBox(secret_key), blob) for blob in stored)
    if closed:
        found = f"{closed} of {len(stored)} stored secrets cannot be decrypted with it"
        return fail(
            "secret key", found, "start with the REVEILLE_SECRET_KEY that encrypted them, or enter them again"
        )
    return ok(
        "secret key", f"decrypts all stored secrets ({len(stored)})" if stored else "set; no secret is stored yet"
    )


def _opens(box: SecretBox, blob: bytes) -> bool:
    try:
        box.decrypt(blob)
    except ConfigurationError:
        return False
    return True
