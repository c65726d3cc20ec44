"""Identifies slots by their nominal times, and stores when a trigger started listening apart from its grid's
origin.
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE firings ADD COLUMN due_at timestamptz")
    op.execute("ALTER TABLE triggers ADD COLUMN listens_since timestamptz")


def downgrade() -> None:
    op.execute("ALTER TABLE triggers DROP COLUMN listens_since")
    op.execute("ALTER TABLE firings DROP COLUMN due_at")
