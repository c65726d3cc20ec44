"""Searches agents, triggers, models, targets and sessions by part of a name or text, failed invocations by part of
their error, and anything by its id, its beginning, or its short form.

Every part is bounded: short ids and errors are searched among the newest rows only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.rows import rows_as
from scheduler.triggers.registry import UNLISTED

MOST = 20
"""The most results of a kind."""
SEARCHED = 20_000
"""The newest rows of a kind that are searched for a short id or an error."""
SHORT = 8
"""The characters of a short id."""
HEXADECIMAL = re.compile(r"[0-9a-f]{4,32}")

BY_TEXT = {
    "agent": """
        SELECT id, name AS title, role_description AS detail, created_at AS at FROM agents
        WHERE tenant_id = :tenant_id AND deleted_at IS NULL AND (name ILIKE :like OR role_description ILIKE :like)
        ORDER BY lower(name) <> :exact, id DESC LIMIT :most
    """,
    "trigger": """
        SELECT id, name AS title, coalesce(nullif(reason, ''), focus_ref, paused_note, '') AS detail,
            last_fired_at AS at
        FROM triggers
        WHERE tenant_id = :tenant_id AND deleted_at IS NULL AND type <> ALL(:unlisted)
            AND (name ILIKE :like OR reason ILIKE :like OR focus_ref ILIKE :like OR paused_note ILIKE :like)
        ORDER BY lower(name) <> :exact, id DESC LIMIT :most
    """,
    "model": """
        SELECT id, name AS title, model AS detail, created_at AS at FROM models
        WHERE tenant_id = :tenant_id AND (name ILIKE :like OR model ILIKE :like) ORDER BY id DESC LIMIT :most
    """,
    "target": """
        SELECT id, name AS title, coalesce(note, kind) AS detail, delivered_at AS at FROM notification_targets
        WHERE tenant_id = :tenant_id AND (name ILIKE :like OR note ILIKE :like) ORDER BY id DESC LIMIT :most
    """,
    "session": """
        SELECT id, title, channel AS detail, created_at AS at FROM (
            SELECT id, title, channel, created_at FROM sessions WHERE tenant_id = :tenant_id
            ORDER BY id DESC LIMIT :searched
        ) s WHERE title ILIKE :like ORDER BY id DESC LIMIT :most
    """,
    "invocation": """
        SELECT id, state AS title, left(said, 300) AS detail, opened_at AS at FROM (
            SELECT id, state, opened_at, coalesce(tries -> -1 ->> 'error', reason, '') AS said FROM invocations
            WHERE tenant_id = :tenant_id AND state IN ('dead', 'skipped') AND replayed_into IS NULL
            ORDER BY id DESC LIMIT :searched
        ) i WHERE said ILIKE :like ORDER BY id DESC LIMIT :most
    """,
}

BY_ID = {
    "agent": "SELECT id, name AS title, role_description AS detail, created_at AS at FROM agents",
    "trigger": "SELECT id, name AS title, reason AS detail, last_fired_at AS at FROM triggers",
    "invocation": """
        SELECT id, state AS title, coalesce(tries -> -1 ->> 'error', reason, '') AS detail, opened_at AS at
        FROM invocations
    """,
    "firing": "SELECT id, trigger_name AS title, reason AS detail, fired_at AS at FROM firings",
    "session": "SELECT id, title, channel AS detail, created_at AS at FROM sessions",
    "delivery": """
        SELECT id, verdict AS title, coalesce(reason, '') AS detail, received_at AS at FROM webhook_deliveries
    """,
    "message": "SELECT id, channel AS title, left(text, 300) AS detail, created_at AS at FROM messages",
}
ONLY_BEGINNINGS = ("message",)
"""Kinds without an index of a tenant's newest, in which the end of an id would be searched."""
HIDDEN = {
    "agent": "AND deleted_at IS NULL",
    "trigger": "AND deleted_at IS NULL AND type <> ALL(:unlisted)",
}


class Match(NamedTuple):
    """What was found: an object of a kind, and what is said of it."""

    kind: str
    id: UUID
    title: str | None
    detail: str | None
    at: datetime | None


def search(conn: Connection, tenant_id: UUID, words: str) -> Sequence[Match]:
    """Returns what matches `words`, ids first."""
    escaped = re.sub(r"([\\%_])", r"\\\1", words)
    values = {
        "tenant_id": tenant_id,
        "like": f"%{escaped}%",
        "exact": words.lower(),
        "unlisted": list(UNLISTED),
        "most": MOST,
        "searched": SEARCHED,
    }
    found = [*_by_id(conn, words, values)]
    for kind, statement in BY_TEXT.items():
        query = text(f"SELECT '{kind}' AS kind, m.* FROM ({statement}) m")  # noqa: S608  # our own statements
        found += rows_as(Match, conn.execute(query, values))
    return list({(each.kind, each.id): each for each in found}.values())


def _by_id(conn: Connection, words: str, values: dict[str, object]) -> Iterator[Match]:
    digits = words.lower().replace("-", "")
    if not HEXADECIMAL.fullmatch(digits):
        return
    span = {"first": UUID(digits.ljust(32, "0")), "last": UUID(digits.ljust(32, "f"))}
    for kind, statement in BY_ID.items():
        where = f"WHERE tenant_id = :tenant_id {HIDDEN.get(kind, '')}"
        parts = [f"({statement} {where} AND id >= :first AND id <= :last ORDER BY id DESC LIMIT :most)"]
        if len(digits) == SHORT and kind not in ONLY_BEGINNINGS:
            newest = f"SELECT id FROM {statement.rsplit('FROM', 1)[1]} {where} ORDER BY id DESC LIMIT :searched"  # noqa: S608
            short = f"SELECT id FROM ({newest}) n WHERE right(CAST(id AS text), {SHORT}) = :short LIMIT :most"  # noqa: S608
            parts.append(f"({statement} {where} AND id = ANY(ARRAY({short})))")
        query = text(f"SELECT '{kind}' AS kind, m.* FROM ({' UNION ALL '.join(parts)}) m")  # noqa: S608
        yield from rows_as(Match, conn.execute(query, values | span | {"short": digits}))
