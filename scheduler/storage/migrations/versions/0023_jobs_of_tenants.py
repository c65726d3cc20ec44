"""Adds the tenant to each job, so that due jobs are claimed in fair shares."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN tenant_id uuid")
    # A trigger fills it in, since processes of the previous version do not know it during a rolling deploy.
    op.execute("""
        CREATE FUNCTION reveille_job_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.tenant_id IS NULL THEN
                SELECT tenant_id INTO NEW.tenant_id FROM triggers WHERE id = NEW.trigger_id;
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER job_tenant BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION reveille_job_tenant()
    """)
    op.execute("UPDATE jobs j SET tenant_id = t.tenant_id FROM triggers t WHERE t.id = j.trigger_id")
    op.execute("CREATE INDEX ix_jobs_tenant ON jobs (tenant_id, next_run_time) WHERE next_run_time IS NOT NULL")
    op.execute("""
        CREATE INDEX ix_invocations_tenant_due ON invocations (tenant_id, due_at)
        WHERE state IN ('collecting', 'retrying')
    """)


def downgrade() -> None:
    op.execute("DROP INDEX ix_invocations_tenant_due")
    op.execute("DROP TRIGGER job_tenant ON jobs")
    op.execute("DROP FUNCTION reveille_job_tenant()")
    op.execute("ALTER TABLE jobs DROP COLUMN tenant_id")
