"""Adds which notification targets were told of an alert."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

# An alert of which nobody was told, as there was no target, is untold.
FILL = """
    UPDATE alerts a SET told_to = v.told_to, told_at = CASE WHEN cardinality(v.told_to) > 0 THEN a.told_at END
    FROM (
        SELECT o.id, ARRAY(SELECT DISTINCT d.target_id FROM notification_deliveries d
            JOIN alert_notices x ON x.id = d.notification_id WHERE x.alert_id = o.id) AS told_to
        FROM alerts o WHERE o.told_at IS NOT NULL AND o.end_told_at IS NULL
    ) v
    WHERE a.id = v.id
"""


def upgrade() -> None:
    op.execute("ALTER TABLE alerts ADD COLUMN told_to uuid[] NOT NULL DEFAULT '{}'")
    op.execute(FILL)


def downgrade() -> None:
    op.execute("ALTER TABLE alerts DROP COLUMN told_to")
