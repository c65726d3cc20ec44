"""Stores the notes of agents: one text per agent, kept between runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from scheduler.domain.errors import InvalidField
from scheduler.storage.audit import record_event
from scheduler.storage.rows import row_as
from scheduler.storage.tables.base import NOW
from scheduler.storage.tables.tenants import AgentNotes

MOST_CHARACTERS = 10_000
"""The size limit of an agent's notes, small enough to be read in each run."""


@dataclass(frozen=True, slots=True)
class Notes:
    """An agent's notes and who last wrote them."""

    text: str = ""
    updated_at: datetime | None = None
    updated_by: str | None = None


def read_notes(conn: Connection, agent_id: UUID) -> Notes:
    """Returns an agent's notes; empty until something is written."""
    columns = (AgentNotes.text, AgentNotes.updated_at, AgentNotes.updated_by)
    return row_as(Notes, conn.execute(select(*columns).where(AgentNotes.agent_id == agent_id))) or Notes()


def write_notes(
    conn: Connection, tenant_id: UUID, agent_id: UUID, text: str, *, actor: str, append: bool = False
) -> Notes:
    """Replaces an agent's notes or appends to them. Raises InvalidField when they become too long."""
    if append:
        locked = select(AgentNotes.text).where(AgentNotes.agent_id == agent_id).with_for_update()
        text = "\n".join(filter(None, [conn.scalar(locked), text]))
    if len(text) > MOST_CHARACTERS:
        raise InvalidField(
            f"The notes would be {len(text):,} characters long; {MOST_CHARACTERS:,} are kept. Shorten them: "
            "remove what is done, and summarize the rest.",
            field="text",
        )
    values = {"tenant_id": tenant_id, "text": text, "updated_by": actor, "updated_at": NOW}
    conn.execute(
        insert(AgentNotes)
        .values(agent_id=agent_id, **values)
        .on_conflict_do_update(index_elements=[AgentNotes.agent_id], set_=values)
    )
    about = {"characters": len(text)}
    record_event(
        conn,
        action="agent.noted",
        tenant_id=tenant_id,
        subject_id=agent_id,
        agent_id=agent_id,
        actor=actor,
        **about,
    )
    return read_notes(conn, agent_id)
