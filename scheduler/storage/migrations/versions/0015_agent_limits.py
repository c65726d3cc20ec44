"""Adds limits for agents: who paused a trigger, permissions to change triggers, wake chains and paces.

Also adds agent notes, public cards, a tenant's minimum heartbeat interval, and how often a firing was requeued.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PACED = "('cron', 'once', 'interval', 'poll', 'webhook')"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE triggers ADD COLUMN managed_by_agent boolean NOT NULL DEFAULT false,
            ADD COLUMN paused_by text, ADD COLUMN root_id uuid, ADD COLUMN depth integer NOT NULL DEFAULT 0,
            ADD COLUMN is_paced boolean NOT NULL DEFAULT false
    """)
    op.execute(f"""
        UPDATE triggers SET is_paced = true
        WHERE created_by = 'agent:' || agent_id::text AND type IN {PACED} AND deleted_at IS NULL
    """)  # a constant from our own code
    # From now on only the audit trail says who paused a trigger.
    op.execute("""
        UPDATE triggers t SET paused_by = (
            SELECT e.actor FROM audit_events e WHERE e.subject_id = t.id AND e.action = 'trigger.paused'
            ORDER BY e.id DESC LIMIT 1)
        WHERE NOT t.is_enabled AND t.deleted_at IS NULL AND t.paused_note IS NOT NULL
            AND t.paused_note NOT IN ('max_fires', 'expired', 'finished')
            AND t.paused_note NOT LIKE 'quarantined:%'
    """)
    op.execute("""
        CREATE TABLE agent_paces (
            agent_id uuid CONSTRAINT pk_agent_paces PRIMARY KEY,
            woken_at timestamptz NOT NULL,
            noted_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE agent_notes (
            agent_id uuid CONSTRAINT pk_agent_notes PRIMARY KEY
                CONSTRAINT fk_agent_notes_agent_id_agents REFERENCES agents ON DELETE CASCADE,
            tenant_id uuid NOT NULL,
            text text NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            updated_by text NOT NULL
        )
    """)
    op.execute("ALTER TABLE firings ADD COLUMN deferrals integer NOT NULL DEFAULT 0")
    op.execute("ALTER TABLE agents ADD COLUMN public_card boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE tenants ADD COLUMN min_heartbeat_interval integer NOT NULL DEFAULT 240")


def downgrade() -> None:
    op.execute("ALTER TABLE tenants DROP COLUMN min_heartbeat_interval")
    op.execute("ALTER TABLE agents DROP COLUMN public_card")
    op.execute("ALTER TABLE firings DROP COLUMN deferrals")
    op.execute("DROP TABLE agent_notes")
    op.execute("DROP TABLE agent_paces")
    op.execute("""
        ALTER TABLE triggers DROP COLUMN managed_by_agent, DROP COLUMN paused_by, DROP COLUMN root_id,
            DROP COLUMN depth, DROP COLUMN is_paced
    """)
