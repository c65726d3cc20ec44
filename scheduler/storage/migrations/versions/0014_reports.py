"""Adds reports of agents that answer 202, postponed attempts, and the failure reason of notifications."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE agents ADD COLUMN reported_at timestamptz")
    op.execute("ALTER TABLE notification_deliveries ADD COLUMN put_offs integer NOT NULL DEFAULT 0")
    op.execute("ALTER TABLE notifications ADD COLUMN failure text")
    # Agents that have reported before are still expected to.
    op.execute("""
        UPDATE agents a SET reported_at = e.at FROM (
            SELECT agent_id, min(at) AS at FROM audit_events
            WHERE action = 'invocation.succeeded' AND actor <> 'system' GROUP BY agent_id
        ) e WHERE a.id = e.agent_id AND a.runtime_kind = 'http'
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE notifications DROP COLUMN failure")
    op.execute("ALTER TABLE notification_deliveries DROP COLUMN put_offs")
    op.execute("ALTER TABLE agents DROP COLUMN reported_at")
