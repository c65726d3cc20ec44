"""Adds an index for A2A conversations, whose earlier messages an agent is shown."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_a2a_tasks_conversation ON a2a_tasks (agent_id, context_id, firing_id)")


def downgrade() -> None:
    op.execute("DROP INDEX ix_a2a_tasks_conversation")
