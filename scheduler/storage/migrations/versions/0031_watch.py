"""Adds what the watch remembers between looks, since when something is expected, and tenants of the system."""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

STATEMENTS = """
    CREATE TABLE watch (
        id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
        since timestamptz NOT NULL DEFAULT clock_timestamp(), looked_at timestamptz, drift_looked_at timestamptz,
        last_pass_at timestamptz, last_heartbeat_at timestamptz
    );
    INSERT INTO watch DEFAULT VALUES;
    ALTER TABLE alerts ADD COLUMN end_told_at timestamptz;
    UPDATE alerts SET end_told_at = closed_at WHERE closed_at IS NOT NULL;
    CREATE INDEX ix_alerts_end_untold ON alerts (id)
        WHERE closed_at IS NOT NULL AND told_at IS NOT NULL AND end_told_at IS NULL;
    CREATE INDEX ix_webhook_deliveries_unsigned ON webhook_deliveries (id) WHERE verdict = 'bad_signature';
    ALTER TABLE triggers ADD COLUMN expected_since timestamptz;
    ALTER TABLE triggers ALTER COLUMN expected_since SET DEFAULT clock_timestamp();
    ALTER TABLE agents ADD COLUMN expected_since timestamptz;
    ALTER TABLE agents ALTER COLUMN expected_since SET DEFAULT clock_timestamp();
    ALTER TABLE tenants ADD COLUMN resumed_at timestamptz, ADD COLUMN is_system boolean NOT NULL DEFAULT false;
    ALTER TABLE service_pause ADD COLUMN resumed_at timestamptz
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE service_pause DROP COLUMN resumed_at")
    op.execute("ALTER TABLE tenants DROP COLUMN resumed_at, DROP COLUMN is_system")
    op.execute("ALTER TABLE agents DROP COLUMN expected_since")
    op.execute("ALTER TABLE triggers DROP COLUMN expected_since")
    op.execute("DROP INDEX ix_webhook_deliveries_unsigned")
    op.execute("ALTER TABLE alerts DROP COLUMN end_told_at")
    op.execute("DROP TABLE watch")
