"""Reads the health of the service with queries that stay cheap however large the history is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import IS_ACTIVE
from scheduler.storage.tenants import CANARY_TENANT

SIGNS_OF_LIFE = text("""
    SELECT (SELECT extract(epoch FROM clock_timestamp() - max(last_pass_at))::float8 FROM scheduler_processes)
            AS last_pass_age,
        (SELECT extract(epoch FROM clock_timestamp() - max(last_heartbeat))::float8 FROM procrastinate_workers)
            AS worker_heartbeat_age
""")

# Both partial unique indexes hold at most one row per agent, so counting open rows costs one scan of the agents.
OPEN = text(f"""
    SELECT state, coalesce(held_reason, '') AS held_reason, count(*) AS invocations,
        coalesce(sum(firing_count), 0)::bigint AS firings,
        greatest(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 AS oldest_due_age
    FROM invocations WHERE state = 'collecting' GROUP BY state, held_reason
    UNION ALL
    SELECT state, '', count(*), coalesce(sum(firing_count), 0)::bigint, NULL
    FROM invocations WHERE {IS_ACTIVE} GROUP BY state
""")  # noqa: S608  # our own constant

RECENT_ENDS = text("""
    SELECT state, count(*) AS invocations
    FROM (SELECT state, finished_at FROM invocations ORDER BY id DESC LIMIT :sample) AS newest
    WHERE finished_at > clock_timestamp() - interval '15 minutes' GROUP BY state
""")

RECENT_FIRINGS = text("""
    WITH newest AS MATERIALIZED (
        SELECT state, extract(epoch FROM fired_at - coalesce(due_at, scheduled_for))::float8 AS lateness
        FROM (SELECT state, fired_at, scheduled_for, due_at FROM firings ORDER BY id DESC LIMIT :sample) AS sample
        WHERE fired_at > clock_timestamp() - interval '15 minutes'
    )
    SELECT state, count(*) AS firings, NULL::float8[] AS lateness FROM newest GROUP BY state
    UNION ALL
    SELECT '', 0, percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY lateness) FROM newest
""")

# The time of the last one, or, if that is more, of the one that is due or under way. None while all is paused. What
# was due while the service was down counts from its return.
CANARY = text(f"""
    SELECT greatest(extract(epoch FROM clock_timestamp() - greatest(j.next_run_time, w.since)), (
        SELECT extract(epoch FROM coalesce(i.finished_at, clock_timestamp())
            - greatest(f.scheduled_for, s.resumed_at, w.since))
        FROM firings f JOIN invocations i ON i.id = f.invocation_id
        WHERE f.trigger_id = t.id ORDER BY f.id DESC LIMIT 1
    ))::float8
    FROM triggers t JOIN jobs j ON j.trigger_id = t.id AND j.kind = 'fire' CROSS JOIN service_pause s
        CROSS JOIN watch w
    WHERE t.tenant_id = '{CANARY_TENANT}' AND t.is_system AND t.type = 'interval' AND t.is_enabled
        AND t.deleted_at IS NULL AND NOT s.is_paused
    LIMIT 1
""")  # noqa: S608  # our own constant

OVERDUE = text("""
    SELECT greatest(extract(epoch FROM clock_timestamp() - min(next_run_time)), 0)::float8
    FROM jobs WHERE next_run_time IS NOT NULL
""")

QUEUES = ("invocations", "io")
QUEUED = text("SELECT queue_name, count(*) FROM procrastinate_jobs WHERE status = 'todo' GROUP BY queue_name")
ROWS = text("""
    SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class
    WHERE relname = ANY(CAST(:tables AS text[])) AND relkind = 'r' AND relnamespace = current_schema()::regnamespace
""")
ALERTS = text("SELECT rule, count(*) FROM alerts WHERE closed_at IS NULL GROUP BY rule")
SIZE = text("SELECT pg_database_size(current_database())")
COUNTED_TABLES = (
    "agents",
    "audit_events",
    "firings",
    "invocations",
    "messages",
    "notifications",
    "triggers",
    "webhook_deliveries",
)

SAMPLE = 10_000
"""The newest firings and invocations that the recent figures are computed from."""


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """Seconds since the last pass of any scheduler and the last heartbeat of any worker; None if there was none."""

    last_pass_age: float | None
    worker_heartbeat_age: float | None


@dataclass(frozen=True, slots=True)
class OpenInvocations:
    """Windows or active invocations of one state and one hold reason."""

    state: str
    held_reason: str
    invocations: int
    firings: int
    oldest_due_age: float | None


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is: jobs by queue, rows by table (estimates), open alerts by rule, and the database's bytes."""

    queue: dict[str, int]
    rows: dict[str, int]
    alerts: dict[str, int]
    size: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a metrics scrape. `recent` covers the last 15 minutes of the newest SAMPLE rows."""

    open: list[OpenInvocations]
    recent_ends: dict[str, int]
    recent_firings: dict[str, int]
    lateness: tuple[float, float, float] | None
    """Seconds between slot and firing: median, 99th percentile and maximum; None when no time trigger fired."""
    overdue: float
    """The delay in seconds of the most overdue job."""
    signs: SignsOfLife
    stock: Stock
    canary: float | None


def read_signs_of_life(conn: Connection) -> SignsOfLife:
    """Reads when schedulers and workers last reported."""
    return SignsOfLife(*conn.execute(SIGNS_OF_LIFE).one())


def read_figures(conn: Connection) -> Figures:
    """Reads the figures of a metrics scrape."""
    sample = {"sample": SAMPLE}
    firings = conn.execute(RECENT_FIRINGS, sample).all()
    lateness = next((row.lateness for row in firings if row.lateness is not None), None)
    return Figures(
        open=rows_as(OpenInvocations, conn.execute(OPEN)),
        recent_ends={row.state: row.invocations for row in conn.execute(RECENT_ENDS, sample)},
        recent_firings={row.state: row.firings for row in firings if row.state},
        lateness=None if lateness is None else tuple(lateness),
        overdue=conn.scalar(OVERDUE) or 0.0,
        signs=read_signs_of_life(conn),
        stock=_read_stock(conn),
        canary=read_canary(conn),
    )


def read_canary(conn: Connection) -> float | None:
    """Returns how many seconds a firing takes from its slot to its end; None when that is not timed."""
    seconds: float | None = conn.scalar(CANARY)
    return None if seconds is None or seconds < 0 else seconds


def _read_stock(conn: Connection) -> Stock:
    queued: dict[str, int] = {row[0]: row[1] for row in conn.execute(QUEUED)}
    return Stock(
        queue=dict.fromkeys(QUEUES, 0) | queued,
        rows={row[0]: row[1] for row in conn.execute(ROWS, {"tables": list(COUNTED_TABLES)})},
        alerts={row[0]: row[1] for row in conn.execute(ALERTS)},
        size=conn.execute(SIZE).scalar_one(),
    )
