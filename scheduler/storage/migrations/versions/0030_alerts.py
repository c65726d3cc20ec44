"""Adds alerts: what is expected of triggers and agents, open and closed alerts, mutes, and what was told of them."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

STATEMENTS = """
    ALTER TABLE triggers ADD COLUMN expect_within double precision, ADD COLUMN expect text NOT NULL DEFAULT 'firing';
    CREATE INDEX ix_triggers_expected ON triggers (id)
        WHERE expect_within IS NOT NULL AND is_enabled AND deleted_at IS NULL;
    ALTER TABLE agents ADD COLUMN expect_wake_within double precision;
    ALTER TABLE tenants ADD COLUMN alert_quiet_hours text, ADD COLUMN alert_remind_minutes integer,
        ADD COLUMN badge_hash bytea;
    ALTER TABLE tenants ADD CONSTRAINT uq_tenants_badge_hash UNIQUE (badge_hash);
    CREATE TABLE alerts (
        id uuid PRIMARY KEY, tenant_id uuid, agent_id uuid, rule text NOT NULL, subject_kind text NOT NULL,
        subject_id uuid NOT NULL, subject_name text NOT NULL, reason text NOT NULL, advice text NOT NULL,
        looks integer NOT NULL DEFAULT 1,
        opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        seen_at timestamptz NOT NULL DEFAULT clock_timestamp(), told_at timestamptz, closed_at timestamptz
    );
    CREATE UNIQUE INDEX uq_alerts_open ON alerts (rule, subject_id)
        WHERE closed_at IS NULL;
    CREATE INDEX ix_alerts_tenant ON alerts (tenant_id, id);
    CREATE TABLE alert_mutes (
        id uuid PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE, rule text,
        subject_id uuid, until timestamptz, note text, created_by text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE INDEX ix_alert_mutes_tenant ON alert_mutes (tenant_id, id);
    CREATE TABLE alert_notices (
        id uuid PRIMARY KEY, alert_id uuid NOT NULL REFERENCES alerts (id) ON DELETE CASCADE, event text NOT NULL,
        text text NOT NULL, created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE INDEX ix_alert_notices_alert ON alert_notices (alert_id)
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE alert_notices, alert_mutes, alerts")
    op.execute("ALTER TABLE triggers DROP COLUMN expect_within, DROP COLUMN expect")
    op.execute("ALTER TABLE agents DROP COLUMN expect_wake_within")
    op.execute(
        "ALTER TABLE tenants DROP COLUMN alert_quiet_hours, DROP COLUMN alert_remind_minutes, DROP COLUMN badge_hash"
    )
