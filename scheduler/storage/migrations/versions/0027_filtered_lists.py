"""Adds the indexes with which filtered lists find rare rows. Those of firings are empty until a firing fails."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_firings_ended": "firings (tenant_id, state, id) WHERE state IN ('dead', 'skipped', 'cancelled')",
    "ix_invocations_replayed": "invocations (agent_id, id) WHERE replayed_into IS NOT NULL",
    "ix_audit_events_agent": "audit_events (agent_id, id) WHERE agent_id IS NOT NULL",
    "ix_triggers_owner": "triggers (agent_id)",
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON {columns}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
