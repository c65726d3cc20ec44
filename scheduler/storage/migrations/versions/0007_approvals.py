"""Adds triggers created by agents, and their approval."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE agents ADD COLUMN approve_triggers boolean DEFAULT false NOT NULL")
    op.execute("ALTER TABLE triggers ADD COLUMN approval text")
    op.execute("""
        CREATE INDEX ix_triggers_awaiting ON triggers (tenant_id, id)
        WHERE approval = 'awaiting' AND deleted_at IS NULL
    """)
    op.execute("""
        CREATE INDEX ix_triggers_waits ON triggers (tenant_id, id) WHERE type = 'a2a_wait' AND deleted_at IS NULL
    """)


def downgrade() -> None:
    op.execute("DROP INDEX ix_triggers_waits")
    op.execute("DROP INDEX ix_triggers_awaiting")
    op.execute("ALTER TABLE triggers DROP COLUMN approval")
    op.execute("ALTER TABLE agents DROP COLUMN approve_triggers")
