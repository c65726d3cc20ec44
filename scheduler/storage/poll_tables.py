"""The table of polls: what one look leaves for the next."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import Base


class PollState(Base):
    """One row for each poll that was ever due, made by the pass that queued its first look."""

    __tablename__ = "poll_states"

    trigger_id: Mapped[UUID] = mapped_column(ForeignKey("triggers.id", ondelete="CASCADE"), primary_key=True)
    poll_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Counts the looks whose result was taken: a result is taken only at the version that its look began with."""
    checking_until: Mapped[datetime | None]
    """Until when a look counts as under way, so that none is queued beside it."""
    fingerprint: Mapped[str | None]
    """Of the part of the config that `baseline` belongs to; under another one it counts for nothing."""
    baseline: Mapped[str | None]
    """The value seen last, as JSON text: `jsonb` would refuse some strings and rewrite numbers. Empty: nothing was
    at the path. Null: none yet."""
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    edited_at: Mapped[datetime | None]
    """The trigger's `updated_at` at the look that brought these: since an edit, the validators hold no more. Null:
    they are of a version that gave the one node of a list bare."""
    failures: Mapped[int] = mapped_column(server_default="0")
    """In a row, up to now."""
    first_failure_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    note: Mapped[str | None]
    """What there is to say of the last look: why it failed, or that nothing was at the path; null: all is well."""
