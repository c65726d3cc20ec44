"""Tenants and their pauses, the keys that act for them, and web users, who sign in with a name and a password."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from api.schemas.base import (
    Answer,
    InvocationsPerHour,
    Listed,
    Moment,
    MonthlyCost,
    Name,
    NoteIn,
    OptionalBody,
    Time,
    TokensPerDay,
    Zone,
    id_of,
    no_defaults,
)
from scheduler.domain.passwords import MAX_LENGTH, MIN_LENGTH
from scheduler.domain.retention import MOST_DAYS
from scheduler.domain.shapes import Shape
from scheduler.manage.keys import KeySpec
from scheduler.storage.keys import AGENT_PREFIX
from scheduler.triggers.active_hours import OnlyBetween


def _known_scopes(scopes: list[str]) -> list[str]:
    if len(set(scopes)) != len(scopes):
        raise ValueError("the same scope occurs twice")
    if len(scopes) > 1 and any(scope.startswith(AGENT_PREFIX) for scope in scopes):
        raise ValueError("agent:ID must be the only scope: it gives access to that agent's data only")
    return scopes


Scope = Annotated[
    str,
    StringConstraints(pattern=r"^(admin|write|read|agent:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"),
    Field(description="admin, write, read, or agent:ID", examples=["write"]),
]


Days = Annotated[int, Field(ge=0, le=MOST_DAYS)] | None
KEEP = "The days they are kept; 0: forever, null: the default in REVEILLE_RETENTION."


class TenantSettings(Shape):
    """The settings that can be given at creation and changed later. Agents' own limits cannot exceed these."""

    timezone: Zone = "UTC"
    default_max_triggers: int = Field(20, ge=0, le=10_000, description="The maximum triggers per agent.")
    min_poll_interval_min: int = Field(5, ge=5, le=525_600, description="The minimum minutes between two polls.")
    min_heartbeat_interval: int = Field(
        240,
        ge=1,
        le=525_600,
        description="The minimum minutes between two heartbeats of an agent; shorter intervals are raised.",
    )
    max_webhook_rate: int = Field(
        5, ge=0, le=1_000_000, description="The maximum deliveries per minute of a webhook."
    )
    max_webhook_body_bytes: int = Field(
        1_048_576, ge=1, le=1_048_576, description="The highest size limit that a webhook may set for deliveries."
    )
    max_tokens_per_day: TokensPerDay | None = Field(
        None, description="For all agents together, per day in the tenant's zone; null: no limit."
    )
    max_invocations_per_hour: InvocationsPerHour | None = Field(
        None, description="For all agents together; null: no limit."
    )
    max_concurrent_runs: int | None = Field(
        None, ge=1, le=1_000_000, description="The maximum concurrent runs of all agents; null: no limit."
    )
    cost_budget_per_month: MonthlyCost | None = Field(
        None,
        description="What all agents together are expected to cost in a month at most, in the currency of the models' "
        "prices. Insights show the cost against it; nothing is held. Null: none.",
    )
    alert_quiet_hours: OnlyBetween | None = Field(
        None,
        description="Hours of the day in the tenant's zone in which nobody is notified of alerts; null: none.",
    )
    alert_remind_minutes: int | None = Field(
        None, ge=1, le=525_600, description="How often the notification of an open alert is repeated; null: never."
    )
    keep_firings_days: Days = Field(None, description=f"Firings with their payloads. {KEEP}")
    keep_invocations_days: Days = Field(None, description=f"Ended invocations with their transcripts. {KEEP}")
    keep_deliveries_days: Days = Field(None, description=f"Webhook deliveries. {KEEP}")
    keep_messages_days: Days = Field(None, description=f"Messages of conversations. {KEEP}")
    keep_notifications_days: Days = Field(None, description=f"Notifications. {KEEP}")
    keep_audit_days: Days = Field(None, description=f"The audit trail. {KEEP}")


class TenantIn(TenantSettings):
    """A new tenant."""

    name: Name


class TenantPatch(TenantSettings):
    """JSON Merge Patch (RFC 7396): omitted fields stay."""

    model_config = ConfigDict(json_schema_extra=no_defaults)

    name: Name = ""


class TenantOut(Answer):
    """A tenant."""

    id: UUID
    name: str
    timezone: str
    default_max_triggers: int
    min_poll_interval_min: int
    min_heartbeat_interval: int
    max_webhook_rate: int
    max_webhook_body_bytes: int
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    max_concurrent_runs: int | None
    alert_quiet_hours: str | None
    cost_budget_per_month: float | None
    alert_remind_minutes: int | None
    keep_firings_days: int | None
    keep_invocations_days: int | None
    keep_deliveries_days: int | None
    keep_messages_days: int | None
    keep_notifications_days: int | None
    keep_audit_days: int | None
    is_paused: bool
    paused_note: str | None
    paused_by: str | None
    paused_at: Time | None
    created_at: Time


class TenantPage(Listed[TenantOut]):
    """A page of tenants."""


class TenantPath(Shape):
    """Identifies a tenant."""

    tenant_id: Annotated[UUID, id_of("tenant")]


class KeyIn(Shape):
    """A new key. Without `tenant_id` it is for the current tenant; null: an operator's key, for every tenant."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3), AfterValidator(_known_scopes)]
    tenant_id: Annotated[UUID, Field(strict=False)] | None = None
    expires_at: Moment | None = Field(None, description="When it expires; null: valid until it is revoked.")

    def spec(self, acted_on: UUID) -> KeySpec:
        """Returns the service's input; `acted_on` is the tenant of a key that names none."""
        tenant_id = self.tenant_id if "tenant_id" in self.model_fields_set else acted_on
        return KeySpec(tenant_id, self.name, self.scopes, self.expires_at)


class KeyOut(Answer):
    """A key, identified by its first characters unless a person chose it. `tenant_id` null: an operator's key."""

    id: UUID
    tenant_id: UUID | None
    name: str
    prefix: str
    scopes: list[str]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None = Field(description="Accurate to a minute.")


class KeyCreated(KeyOut):
    """A new key: `key` is shown only this once, since only its hash is stored."""

    key: str


class KeyPage(Listed[KeyOut]):
    """A page of keys."""


class KeyPath(Shape):
    """Identifies a key."""

    key_id: Annotated[UUID, id_of("key")]


class PauseIn(NoteIn):
    """The reason for a pause, and its extent. The whole body is optional."""

    everything: bool = Field(default=False, description="All tenants, as only an operator may.")


class ResumeIn(OptionalBody):
    """The extent of a resume. The whole body is optional."""

    everything: bool = Field(default=False, description="All tenants, as only an operator may.")


class PauseOut(Answer):
    """Whether it is paused; why, by whom and since when."""

    is_paused: bool
    paused_note: str | None
    paused_by: str | None = Field(description="`key:NAME` or `user:NAME`.")
    paused_at: Time | None


class PausesOut(Answer):
    """The pause of the tenant, and that of the whole service."""

    tenant: PauseOut
    service: PauseOut


Password = Annotated[str, StringConstraints(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
WebScope = Literal["admin", "write", "read"]


class WebUserIn(Shape):
    """A new web user. Without `tenant_id` it is for the current tenant; null: an operator, who sees every tenant."""

    name: Name
    password: Password
    scope: WebScope = "read"
    tenant_id: Annotated[UUID, Field(strict=False)] | None = None


class WebUserPatch(Shape):
    """JSON Merge Patch (RFC 7396): omitted fields stay. The user's sessions are ended."""

    model_config = ConfigDict(json_schema_extra=no_defaults)

    password: Password = ""
    scope: WebScope = "read"


class WebUserOut(Answer):
    """A web user. `tenant_id` null: an operator."""

    id: UUID
    tenant_id: UUID | None
    name: str
    scope: str
    created_at: Time


class WebUserPage(Listed[WebUserOut]):
    """A page of web users."""


class WebUserPath(Shape):
    """Identifies a web user."""

    web_user_id: Annotated[UUID, id_of("web user")]
