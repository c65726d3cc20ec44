"""Sets the displayed reason of call triggers. What the agent is told depends on the caller."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        UPDATE triggers SET reason = 'Somebody calls this agent. What it is told depends on who does.'
        WHERE is_system AND type = 'wake' AND reason LIKE 'You were called by this message.%'
    """)


def downgrade() -> None:
    pass
