"""The table of poll state: what one check keeps for the next."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.storage.base import Base


class PollState(Base):
    """One row for each poll that was ever due, created by the pass that queued its first check."""

    __tablename__ = "poll_states"

    trigger_id: Mapped[UUID] = mapped_column(ForeignKey("triggers.id", ondelete="CASCADE"), primary_key=True)
    poll_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Counts accepted checks. A check is only accepted at the version that it started with."""
    checking_until: Mapped[datetime | None]
    """Until when a check counts as in progress, so that no second one is queued."""
    fingerprint: Mapped[str | None]
    """A hash of the part of the config that `baseline` depends on. The baseline is invalid under any other."""
    baseline: Mapped[str | None]
    """The last value, as JSON text, since `jsonb` would refuse some strings and rewrite numbers.

    Empty: the path selected nothing. Null: no value yet.
    """
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    edited_at: Mapped[datetime | None]
    """The trigger's `updated_at` at the check that brought these; after an edit the validators are invalid.

    Null: they come from a version that returned a single-element list as a bare value.
    """
    failures: Mapped[int] = mapped_column(server_default="0")
    """Consecutive failures so far."""
    first_failure_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    note: Mapped[str | None]
    """The result of the last check: why it failed, or that the path selected nothing; null: success."""
