"""Shapes of alerts and mutes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import Answer, Listed, Moment, Note, Page, Time, id_of
from scheduler.domain.shapes import Shape


class AlertsQuery(Page):
    """Which alerts to list."""

    open: bool | None = Field(None, description="true: open ones only; false: closed ones only.")


class AlertOut(Answer):
    """An alert: trouble with one subject, found by one rule."""

    id: UUID
    rule: str
    subject_kind: str = Field(description="`trigger`, `agent`, `tenant` or `service`.")
    subject_id: UUID
    subject_name: str
    agent_id: UUID | None
    reason: str
    advice: str
    looks: int = Field(description="How often it was found, every 15 seconds.")
    opened_at: Time
    seen_at: Time
    told_at: Time | None = Field(description="When the notification targets were last notified.")
    closed_at: Time | None


class AlertPage(Listed[AlertOut]):
    """A page of alerts."""


class MuteIn(Shape):
    """A mute: of a rule, of a subject (an agent with all its triggers), or of one rule of a subject."""

    rule: str | None = Field(None, max_length=100)
    subject_id: Annotated[UUID, Field(strict=False)] | None = None
    until: Moment | None = Field(None, description="Null: until it is deleted.")
    note: Note | None = None


class MuteOut(Answer):
    """A mute."""

    id: UUID
    rule: str | None = Field(description="Null: any rule.")
    subject_kind: str | None = Field(description="`trigger`, `agent`, `tenant` or `service`; null: any subject.")
    subject_id: UUID | None
    subject_name: str | None
    until: Time | None = Field(description="Null: until it is deleted.")
    note: str | None
    created_by: str
    created_at: Time


class MutePage(Listed[MuteOut]):
    """A page of mutes."""


class MutePath(Shape):
    """Names a mute."""

    mute_id: Annotated[UUID, id_of("mute")]


class BadgeOut(Answer):
    """The address of the tenant's badge, shown once."""

    url: str
