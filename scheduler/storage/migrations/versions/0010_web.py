"""Adds web users and their sign-in sessions."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Indexes of the list pages and their filters: newest first, by id.
INDEXES = {
    "ix_agents_tenant": "agents (tenant_id, id) WHERE deleted_at IS NULL",
    "ix_triggers_agent": "triggers (agent_id, id) WHERE deleted_at IS NULL",
    "ix_firings_root": "firings (root_id, id) WHERE depth > 0",
    "ix_invocations_state": "invocations (tenant_id, state, id)",
    "ix_invocations_dead": "invocations (tenant_id, id) WHERE state IN ('dead', 'skipped') AND replayed_into IS NULL",
    "ix_webhook_deliveries_tenant": "webhook_deliveries (tenant_id, id)",
    "ix_webhook_deliveries_refused": "webhook_deliveries (tenant_id, id) WHERE verdict <> 'accepted'",
    "ix_audit_events_subject_type": "audit_events (tenant_id, subject_type, id)",
    "ix_audit_events_action": "audit_events (tenant_id, action, id)",
    "ix_sessions_agent": "sessions (agent_id, id)",
    "ix_sessions_peer": "sessions (peer_agent_id, id) WHERE peer_agent_id IS NOT NULL",
}


def upgrade() -> None:
    op.execute("""
        CREATE TABLE web_users (
            id uuid CONSTRAINT pk_web_users PRIMARY KEY,
            tenant_id uuid,
            name text NOT NULL,
            password_hash text NOT NULL,
            scope text NOT NULL,
            created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
            CONSTRAINT fk_web_users_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
        )
    """)
    op.execute("CREATE UNIQUE INDEX uq_web_users_name ON web_users (name)")
    op.execute("CREATE INDEX ix_web_users_tenant ON web_users (tenant_id, id)")
    op.execute("""
        CREATE TABLE web_sessions (
            token_hash bytea CONSTRAINT pk_web_sessions PRIMARY KEY,
            key_id uuid,
            user_id uuid,
            tenant_id uuid NOT NULL,
            created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
            seen_at timestamptz DEFAULT clock_timestamp() NOT NULL,
            expires_at timestamptz NOT NULL,
            CONSTRAINT fk_web_sessions_key_id_api_keys FOREIGN KEY(key_id) REFERENCES api_keys (id) ON DELETE CASCADE,
            CONSTRAINT fk_web_sessions_user_id_web_users FOREIGN KEY(user_id) REFERENCES web_users (id)
                ON DELETE CASCADE,
            CONSTRAINT fk_web_sessions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
                ON DELETE CASCADE
        )
    """)
    op.execute("CREATE INDEX ix_web_sessions_key_id ON web_sessions (key_id)")
    op.execute("CREATE INDEX ix_web_sessions_user_id ON web_sessions (user_id)")
    op.execute("CREATE INDEX ix_web_sessions_tenant_id ON web_sessions (tenant_id)")
    op.execute("CREATE INDEX ix_web_sessions_expires_at ON web_sessions (expires_at)")
    for name, columns in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {columns}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
    op.execute("DROP TABLE web_sessions")
    op.execute("DROP TABLE web_users")
