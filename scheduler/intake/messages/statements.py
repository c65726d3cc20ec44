"""SQL for messages and triggers: stores messages, finds the on_message triggers that listen for them, reads both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from scheduler.domain.ids import new_id
from scheduler.domain.lineage import Lineage
from scheduler.domain.model import MAX_DEPTH, TriggerKind
from scheduler.storage.arrays import array
from scheduler.storage.rows import one_as, reader, row_as, rows_as
from scheduler.storage.tables.log import SpentId
from scheduler.storage.tables.messages import Message

CANDIDATES_EACH = 100
"""The most messages that one check returns for a trigger: the newest, so that old non-matches hide none."""
LOOKED_AT_EACH = 1_000
"""The newest messages that one check examines for a trigger, so that a flood does not delay a pass."""

SOURCE = "CAST(coalesce(t.config->>'from_user', t.config->>'from_agent') AS uuid)"
# Whether a message (m) comes from a source that a trigger (t) listens for, apart from the receiver and the text.
CONCERNS = """
    m.tenant_id = t.tenant_id
    AND (t.config->>'channels' IS NULL OR t.config->'channels' @> to_jsonb(m.channel))
    AND (t.config->>'session_id' IS NULL OR t.config->>'session_id' = CAST(m.session_id AS text))
    AND NOT (SELECT is_reflection FROM sessions WHERE id = m.session_id)
"""

LISTENERS = text(f"""
    SELECT t.id AS trigger_id, t.agent_id, CAST(t.config->'text_match' AS text) AS text_match,
        t.type = '{TriggerKind.A2A_WAIT}' AS is_wait
    FROM messages m JOIN LATERAL (
        SELECT id, tenant_id, agent_id, type, config FROM triggers
        WHERE agent_id = m.to_agent_id
            AND type IN ('{TriggerKind.ON_MESSAGE}', '{TriggerKind.A2A_WAIT}')
            AND is_enabled AND deleted_at IS NULL AND NOT is_system
        UNION ALL
        SELECT id, tenant_id, agent_id, type, config FROM triggers
        WHERE tenant_id = m.tenant_id AND agent_id IS DISTINCT FROM m.to_agent_id
            AND type = '{TriggerKind.ON_MESSAGE}' AND config @> '{{"any_session": true}}'
            AND is_enabled AND deleted_at IS NULL
    ) t ON {SOURCE} = m.from_id AND {CONCERNS}
    WHERE m.id = :id
""")  # noqa: S608  # constants only

# A trigger starts listening when it is created (`anchor_at`), its config changes, or it is resumed
# (`listens_since`). A scalar sub-select is never planned as a join, so each lookup uses the index that fits it.
UNFIRED = text(f"""
    SELECT t.id AS trigger_id, t.agent_id, CAST(t.config->'text_match' AS text) AS text_match, m.id AS message_id
    FROM unnest(CAST(:ids AS uuid[])) AS due(id) JOIN triggers t ON t.id = due.id
    CROSS JOIN LATERAL (
        SELECT {SOURCE} AS id,
            greatest(
                coalesce(t.listens_since, t.anchor_at), (SELECT clock_timestamp() - interval '10 minutes')
            ) AS since
    ) source
    CROSS JOIN LATERAL (
        SELECT m.id, m.created_at FROM (
            (
                SELECT * FROM messages
                WHERE from_id = source.id AND to_agent_id = t.agent_id AND created_at >= source.since
                ORDER BY created_at DESC LIMIT {LOOKED_AT_EACH}
            ) UNION ALL (
                SELECT * FROM messages
                WHERE t.config @> '{{"any_session": true}}'
                    AND from_id = source.id AND to_agent_id IS DISTINCT FROM t.agent_id
                    AND created_at >= source.since
                ORDER BY created_at DESC LIMIT {LOOKED_AT_EACH}
            )
        ) m
        WHERE (
                SELECT f.id FROM firings f
                WHERE f.trigger_id = t.id AND f.occurrence_key = 'message:' || m.id LIMIT 1
            ) IS NULL
            AND m.depth <= {MAX_DEPTH} AND NOT t.agent_id = ANY (m.refused_for) AND {CONCERNS}
        ORDER BY m.created_at DESC LIMIT {CANDIDATES_EACH}
    ) m
    ORDER BY m.created_at, m.id
""")  # noqa: S608  # constants only

READ = text("""
    SELECT m.id, m.tenant_id, m.session_id, m.channel, m.from_type, m.from_id,
        coalesce(nullif(u.display_name, ''), u.name, a.name, '') AS from_name, m.to_agent_id, m.text, m.root_id, m.depth
    FROM messages m LEFT JOIN users u ON u.id = m.from_id LEFT JOIN agents a ON a.id = m.from_id
    WHERE m.id = ANY(CAST(:ids AS uuid[]))
""")

REFUSE = text("""
    UPDATE messages SET refused_for = refused_for || CAST(:agent_ids AS uuid[]) WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Listener:
    """A trigger that listens for a message. `text_match` is the JSON of a TextMatch; None matches every text."""

    trigger_id: UUID
    agent_id: UUID
    text_match: str | None
    is_wait: bool = False
    """Whether it is an agent's wait for an answer; a message answers only one of several."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as its firings describe it."""

    id: UUID
    tenant_id: UUID
    session_id: UUID
    channel: str
    from_type: str
    from_id: UUID
    from_name: str
    to_agent_id: UUID | None
    text: str
    root_id: UUID | None
    depth: int

    @property
    def from_agent_id(self) -> UUID | None:
        """The id of the agent that wrote it; None for a user."""
        return self.from_id if self.from_type == "agent" else None

    @property
    def lineage(self) -> Lineage:
        """The lineage of the wakes it causes."""
        return Lineage(self.root_id, self.depth)


class PrunedEvent(NamedTuple):
    """What remains of a pruned message that had an event."""

    id: UUID
    content_hash: bytes


class KnownEvent(NamedTuple):
    """The stored message of an event."""

    id: UUID
    session_id: UUID
    text: str


def find_pruned_event(conn: Connection, values: dict[str, Any]) -> PrunedEvent | None:
    """Returns the id and text hash of a pruned message with that event."""
    key = "\n".join(("event", str(values["from_id"]), values["channel"], values["event_id"]))
    query = select(SpentId.id, SpentId.content_hash)
    return row_as(
        PrunedEvent, conn.execute(query.where(SpentId.owner_id == values["to_agent_id"], SpentId.key == key))
    )


def insert_message(conn: Connection, values: dict[str, Any]) -> UUID | None:
    """Stores a message; returns its id, or None when its event was stored before."""
    return conn.scalar(
        insert(Message).values(id=new_id(), **values).on_conflict_do_nothing().returning(Message.id)
    )


def find_event(conn: Connection, values: dict[str, Any]) -> KnownEvent:
    """Returns the stored message with the sender, receiver, channel and event of these columns."""
    same = ("tenant_id", "from_id", "channel", "to_agent_id", "event_id")
    query = select(Message.id, Message.session_id, Message.text)
    return one_as(
        KnownEvent, conn.execute(query.where(*(getattr(Message, name) == values[name] for name in same)))
    )


def find_listeners(conn: Connection, message_id: UUID) -> list[Listener]:
    """Returns the enabled triggers that listen for the message."""
    return rows_as(Listener, conn.execute(LISTENERS, {"id": message_id}))


def find_unfired(conn: Connection, trigger_ids: Collection[UUID]) -> list[tuple[Listener, UUID]]:
    """Returns the messages of the last ten minutes that each of these triggers listens for and has not fired for.

    Oldest first. Their texts are not matched here.
    """
    result = conn.execute(UNFIRED, {"ids": array(trigger_ids)})
    listener = reader(Listener, result.keys())
    return [(listener(row), row.message_id) for row in result]


def read_messages(conn: Connection, ids: Collection[UUID]) -> dict[UUID, StoredMessage]:
    """Reads messages by id."""
    if not ids:
        return {}
    return {each.id: each for each in rows_as(StoredMessage, conn.execute(READ, {"ids": array(ids)}))}


def refuse_for(conn: Connection, message_id: UUID, agent_ids: Collection[UUID]) -> None:
    """Records that a message may not wake these agents."""
    conn.execute(REFUSE, {"id": message_id, "agent_ids": array(agent_ids)})
