"""Scopes event ids to sender and receiver, so that two senders may use the same id."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE UNIQUE INDEX uq_messages_sender_event ON messages (tenant_id, from_id, channel, to_agent_id, event_id)
    WHERE event_id IS NOT NULL;
DROP INDEX uq_messages_event;
""")


def downgrade() -> None:
    # Among rows with the same id the first one keeps it, as the old index allows only one.
    op.execute("""
UPDATE messages m SET event_id = NULL WHERE event_id IS NOT NULL AND EXISTS (
    SELECT FROM messages o WHERE o.tenant_id = m.tenant_id AND o.channel = m.channel AND o.event_id = m.event_id
        AND o.id < m.id);
CREATE UNIQUE INDEX uq_messages_event ON messages (tenant_id, channel, event_id) WHERE event_id IS NOT NULL;
DROP INDEX uq_messages_sender_event;
""")
