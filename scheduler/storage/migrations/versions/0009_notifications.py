"""Adds notifications and their targets."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE triggers ADD COLUMN notification_summary text",
    "CREATE INDEX ix_messages_people ON messages (to_agent_id, created_at) WHERE from_type = 'user'",
    """
    CREATE TABLE notifications (
        id uuid CONSTRAINT pk_notifications PRIMARY KEY,
        tenant_id uuid NOT NULL,
        agent_id uuid NOT NULL,
        invocation_id uuid NOT NULL,
        summary text NOT NULL,
        triggers text[] NOT NULL,
        session_ids uuid[] NOT NULL,
        created_at timestamptz DEFAULT clock_timestamp() NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX uq_notifications_invocation ON notifications (invocation_id)",
    "CREATE INDEX ix_notifications_created_at ON notifications (created_at)",
    """
    CREATE TABLE live_sockets (
        id uuid CONSTRAINT pk_live_sockets PRIMARY KEY,
        tenant_id uuid NOT NULL,
        agent_id uuid,
        user_id uuid,
        session_id uuid,
        seen_at timestamptz DEFAULT clock_timestamp() NOT NULL
    )
    """,
    "CREATE INDEX ix_live_sockets_session ON live_sockets (session_id) WHERE session_id IS NOT NULL",
    "CREATE INDEX ix_live_sockets_user ON live_sockets (user_id) WHERE user_id IS NOT NULL",
    "CREATE INDEX ix_live_sockets_tenant ON live_sockets (tenant_id)",
    """
    CREATE TABLE notification_targets (
        id uuid CONSTRAINT pk_notification_targets PRIMARY KEY,
        tenant_id uuid NOT NULL,
        agent_id uuid NOT NULL,
        name text NOT NULL,
        kind text NOT NULL,
        host text NOT NULL,
        secrets bytea NOT NULL,
        delivered_at timestamptz,
        note text,
        noted_at timestamptz,
        created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
        CONSTRAINT fk_notification_targets_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
            ON DELETE CASCADE,
        CONSTRAINT fk_notification_targets_agent_id_agents FOREIGN KEY(agent_id) REFERENCES agents (id)
            ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_notification_targets_tenant_id ON notification_targets (tenant_id)",
    "CREATE UNIQUE INDEX uq_notification_targets_name ON notification_targets (agent_id, name)",
    """
    CREATE TABLE notification_deliveries (
        id uuid CONSTRAINT pk_notification_deliveries PRIMARY KEY,
        notification_id uuid NOT NULL,
        target_id uuid NOT NULL,
        state text DEFAULT 'pending' NOT NULL,
        attempt integer DEFAULT 0 NOT NULL,
        due_at timestamptz,
        error text,
        created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
        ended_at timestamptz,
        CONSTRAINT fk_notification_deliveries_target_id_notification_targets FOREIGN KEY(target_id)
            REFERENCES notification_targets (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_notification_deliveries_due ON notification_deliveries (due_at) WHERE state = 'pending'",
    "CREATE INDEX ix_notification_deliveries_target ON notification_deliveries (target_id, id)",
)
DOWN = (
    "DROP TABLE notification_deliveries",
    "DROP TABLE notification_targets",
    "DROP TABLE live_sockets",
    "DROP TABLE notifications",
    "DROP INDEX ix_messages_people",
    "ALTER TABLE triggers DROP COLUMN notification_summary",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
