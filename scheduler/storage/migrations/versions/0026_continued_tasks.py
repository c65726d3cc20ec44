"""Adds further messages to an A2A task."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE a2a_tasks ADD COLUMN task_id uuid, ADD COLUMN last_firing_id uuid")
    op.execute("CREATE INDEX ix_a2a_tasks_task ON a2a_tasks (task_id) WHERE task_id IS NOT NULL")


def downgrade() -> None:
    op.execute("DELETE FROM a2a_tasks WHERE task_id IS NOT NULL")
    op.execute("ALTER TABLE a2a_tasks DROP COLUMN task_id, DROP COLUMN last_firing_id")
