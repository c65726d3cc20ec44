"""People who sign in to the web UI, and their sessions."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    op.execute("DROP TABLE web_sessions")
    op.execute("DROP TABLE web_users")
