"""Notification targets: where an agent's notifications are sent."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.base import Answer, Listed, Name, Time, id_of
from scheduler.domain.shapes import Shape
from scheduler.manage.notification_targets import TargetSpec
from scheduler.notifications.targets.registry import TARGETS


class TargetIn(Shape):
    """A new target."""

    name: Name
    kind: Annotated[str, StringConstraints(max_length=50), Field(examples=list(TARGETS))]
    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)] = Field(
        description="Never shown again, since a chat service's URL is enough to write there.", repr=False
    )
    secret: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="The signing secret of a webhook (generated if omitted) or a Feishu bot.", repr=False
    )

    def spec(self) -> TargetSpec:
        """Returns the service's input."""
        return TargetSpec(self.name, self.kind, self.url, self.secret)


class TargetOut(Answer):
    """A target. `note`: why the last notification was not delivered, and when."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    name: str
    kind: str
    host: str = Field(description="The host of its URL, the rest of which is secret.")
    delivered_at: Time | None = Field(description="When a notification was last delivered.")
    note: str | None
    noted_at: Time | None
    created_at: Time
    secret: str | None = Field(None, description="A webhook's secret: only in the response that creates it.")


class TargetPage(Listed[TargetOut]):
    """A page of targets."""


class TargetPath(Shape):
    """Identifies a target."""

    target_id: Annotated[UUID, id_of("notification target")]


class TestedOut(Answer):
    """The result of a test. `error`: why it was not delivered."""

    delivered: bool
    error: str | None
