"""Adds the state that polls keep between checks. It is updated twice per check, so its pages leave room for that."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DDL = """
CREATE TABLE poll_states (
    trigger_id uuid CONSTRAINT pk_poll_states PRIMARY KEY,
    poll_version bigint DEFAULT '0' NOT NULL,
    checking_until timestamptz,
    fingerprint text,
    baseline text,
    etag text,
    last_modified text,
    failures integer DEFAULT '0' NOT NULL,
    first_failure_at timestamptz,
    checked_at timestamptz,
    note text,
    CONSTRAINT fk_poll_states_trigger_id_triggers
        FOREIGN KEY(trigger_id) REFERENCES triggers (id) ON DELETE CASCADE
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)
"""


def upgrade() -> None:
    op.execute(DDL)


def downgrade() -> None:
    op.execute("DROP TABLE poll_states")
