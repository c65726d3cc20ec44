"""Frees held windows: the one statement that makes a window due again, whatever held it."""

from __future__ import annotations

from sqlalchemy import TextClause, text


def freeing(which: str, *, skip_locked: bool = False) -> TextClause:
    """The statement that makes the windows due now for which the SQL `which` holds.

    It locks them in the order of their agents, as everything does that writes several; `skip_locked` leaves those
    that somebody else holds.
    """
    return text(f"""
        WITH held AS (
            SELECT id FROM invocations WHERE {which} ORDER BY agent_id FOR UPDATE{" SKIP LOCKED" if skip_locked else ""}
        )
        UPDATE invocations i SET due_at = clock_timestamp(), held_reason = NULL, held_until = NULL, held_note = NULL
        FROM held WHERE i.id = held.id
    """)  # noqa: S608  # conditions of ours
