"""Adds the trigger version that a poll's last value and validators belong to."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE poll_states ADD COLUMN edited_at timestamptz")


def downgrade() -> None:
    # Older versions have no empty baseline; to them the poll has seen nothing yet.
    op.execute("UPDATE poll_states SET baseline = NULL WHERE baseline = ''")
    op.execute("ALTER TABLE poll_states DROP COLUMN edited_at")
