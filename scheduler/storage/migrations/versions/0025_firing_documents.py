"""Adds documents that firings carry besides their data, such as mails; `from` and `subject` of email triggers."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


RENAMED = {"from_contains": "from", "subject_contains": "subject"}


def upgrade() -> None:
    for before, after in RENAMED.items():
        _rename(before, after)
    op.execute("""
CREATE TABLE firing_documents (
    firing_id uuid NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT pk_firing_documents PRIMARY KEY (firing_id, number)
);
""")


def downgrade() -> None:
    op.execute("DROP TABLE firing_documents")
    for before, after in RENAMED.items():
        _rename(after, before)


def _rename(before: str, after: str) -> None:
    op.execute(
        f"UPDATE triggers SET config = config - '{before}' || jsonb_build_object('{after}', config->'{before}') "
        f"WHERE type = 'email' AND jsonb_exists(config, '{before}')"
    )
