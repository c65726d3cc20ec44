"""The script that Alembic runs: migrates over the connection that migrate.py opened."""

from __future__ import annotations

from alembic import context

import scheduler.storage.alert_tables  # importing the tables fills the metadata
import scheduler.storage.definitions
import scheduler.storage.firing_documents
import scheduler.storage.log_tables
import scheduler.storage.message_tables
import scheduler.storage.notification_tables
import scheduler.storage.progress_tables
import scheduler.storage.tenant_tables
import scheduler.storage.traces  # noqa: F401
from scheduler.storage.base import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
