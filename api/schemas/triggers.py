"""Triggers, their previews and firings. A kind's `config` is checked by the kind itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from api.schemas.base import (
    Answer,
    Expected,
    Listed,
    LocalMoment,
    Moment,
    Name,
    Page,
    Query,
    Searched,
    SpanPage,
    Time,
    Zone,
    id_of,
    no_defaults,
    one_of,
)
from api.schemas.history import AckCounts
from scheduler.domain.notification import SUMMARY_LENGTH
from scheduler.domain.shapes import Shape
from scheduler.manage.agents.heartbeat import DEFAULT_INSTRUCTION, DEFAULT_MINUTES
from scheduler.manage.triggers.spec import LONGEST_SECONDS, MAX_FIRES, MAX_REASON, help_of
from scheduler.storage.read_models.trigger_lists import TriggerFilter
from scheduler.triggers.active_hours import OnlyBetween
from scheduler.triggers.preview import DEFAULT_COUNT, MAX_COUNT
from scheduler.triggers.registry import CLOCKED, LISTED, OFFERED

Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECONDS)]

Config = Annotated[
    dict[str, Any],
    Field(description='Depends on its type, e.g. {"expr": "0 9 * * mon-fri"} for cron; see docs/api.md.'),
]


FOLDED: dict[str, Any] = {"x-folded": True}
AREA: dict[str, Any] = {"x-input": "area"}
MISFIRE: dict[str, Any] = FOLDED | {
    "x-labels": {
        "latest": "Run the latest only",
        "all": "Run each, up to 100",
        "skip": "Skip what is later than the grace",
    }
}
"""How the web form shows a field: collapsed, as multi-line text, with labels for its values."""


class TriggerSettings(Shape):
    """The settings that can be given at creation and changed later."""

    reason: Annotated[str, StringConstraints(max_length=MAX_REASON)] = Field(
        "", title="Reason", description=help_of("reason"), json_schema_extra=AREA
    )
    focus_ref: Name | None = Field(
        None,
        title="Focus",
        description=help_of("focus_ref"),
        json_schema_extra=FOLDED,
    )
    urgent: bool = Field(False, title="Urgent", description=help_of("urgent"))
    max_fires: int | None = Field(
        None,
        ge=0,
        le=MAX_FIRES,
        title="Maximum runs",
        description=help_of("max_fires"),
        json_schema_extra=FOLDED,
    )
    cooldown_seconds: Seconds = Field(
        60.0,
        title="Cooldown (seconds)",
        description=help_of("cooldown_seconds"),
        json_schema_extra=FOLDED,
    )
    expires_at: Moment | None = Field(
        None, title="Expires at", description=help_of("expires_at"), json_schema_extra=FOLDED
    )
    misfire_policy: Literal["latest", "all", "skip"] = Field(
        "latest",
        title="Missed runs",
        description=help_of("misfire_policy"),
        json_schema_extra=MISFIRE,
    )
    grace_seconds: Seconds = Field(
        60.0,
        title="Grace period (seconds)",
        description=help_of("grace_seconds"),
        json_schema_extra=FOLDED,
    )
    notification_summary: Annotated[str, StringConstraints(min_length=1, max_length=SUMMARY_LENGTH)] | None = (
        Field(
            None,
            title="Notification summary",
            description=help_of("notification_summary"),
            json_schema_extra=FOLDED,
        )
    )
    expect_within: Expected = Field(
        None,
        title="Alert when silent for",
        description=help_of("expect_within"),
        json_schema_extra=FOLDED,
    )
    expect: Literal["firing", "success"] = Field(
        "firing",
        title="What is expected",
        description=help_of("expect"),
        json_schema_extra=FOLDED | {"x-labels": {"firing": "A firing", "success": "A successful invocation"}},
    )
    managed_by_agent: bool = Field(False, description=help_of("managed_by_agent"))


class TriggerIn(TriggerSettings):
    """A new trigger."""

    name: Name
    type: str = Field(max_length=50, examples=list(OFFERED))
    config: Config = Field(default_factory=dict)


class TriggerPatch(TriggerSettings):
    """JSON Merge Patch (RFC 7396), `config` included: omitted fields stay."""

    model_config = ConfigDict(json_schema_extra=no_defaults)

    name: Name = ""
    type: str = Field("", max_length=50, description="May be sent unchanged, but not changed.")
    config: Config = Field(default_factory=dict)
    is_enabled: bool = True


class TriggerOut(Answer):
    """A trigger. `timezone` is the effective zone; `config` has no secrets."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    name: str
    type: str
    config: dict[str, Any]
    reason: str
    focus_ref: str | None
    timezone: str
    urgent: bool
    max_fires: int | None
    cooldown_seconds: float
    expires_at: Time | None
    misfire_policy: str
    grace_seconds: float
    notification_summary: str | None
    expect_within: float | None
    expect: str
    is_enabled: bool
    paused_note: str | None
    paused_by: str | None = Field(
        description="Who paused it: `key:NAME`, `user:NAME`, `agent:ID`. Only a person can resume what a "
        "person paused."
    )
    next_fire_at: Time | None
    fire_count: int
    last_fired_at: Time | None
    is_system: bool = Field(
        description="It can be paused and changed, but not deleted, and does not count toward limits."
    )
    managed_by_agent: bool = Field(description="Whether its agent may change it although a person created it.")
    created_by: str = Field(description="`key:NAME`, `agent:ID` if its agent created it, or `system`.")
    approval: str | None = Field(description="`awaiting`, `approved` or `rejected`; null: no approval needed.")
    created_at: Time
    updated_at: Time
    hook_url: str | None = Field(
        None, description="A webhook's address: only in the response that creates or rotates it."
    )


class TriggerWhole(TriggerOut):
    """A trigger with the number of its firings by acknowledgement."""

    acks: AckCounts
    header_names: list[str] = Field(
        default_factory=list,
        description="For a poll: the names of the headers it sends; their values are never shown.",
    )


class TriggerPage(Listed[TriggerOut]):
    """A page of triggers."""


class ApproveIn(Shape):
    """An approval. The whole body is optional."""

    updated_at: Moment | None = Field(
        None, description="The trigger's `updated_at` when you viewed it: 409 if its agent has changed it since."
    )

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, value: object) -> object:
        return {} if value is None else value


class AgentTriggerQuery(SpanPage):
    """Filters an agent's triggers; `from` and `to` are when they last fired."""

    focus_ref: Name | None = None
    type: Annotated[str, one_of(LISTED)] | None = None
    is_enabled: bool | None = None
    text: Searched | None = Field(None, description="Part of the name, reason, focus or note, case-insensitive.")

    def filter(self, agent_id: UUID | None) -> TriggerFilter:
        """Returns the filter for an agent's triggers, or for all."""
        return TriggerFilter(agent_id, self.type, self.is_enabled, self.text, self.span, focus_ref=self.focus_ref)


class TriggerQuery(AgentTriggerQuery):
    """Filters triggers; `from` and `to` are when they last fired."""

    agent_id: UUID | None = None


class ApprovalQuery(Page):
    """Filters the triggers that await approval."""

    agent_id: UUID | None = None
    type: Annotated[str, one_of(LISTED)] | None = None
    text: Searched | None = Field(None, description="Part of the name, reason, focus or note, case-insensitive.")


class TriggerPath(Shape):
    """Identifies a trigger."""

    trigger_id: Annotated[UUID, id_of("trigger")]


class FiredOut(Answer):
    """The manual firing, and the invocation that will carry it."""

    firing_id: UUID
    invocation_id: UUID
    duplicate: bool = Field(
        False, description="It was created by an earlier request with the same Idempotency-Key."
    )


class PreviewQuery(Query):
    """How many fire times to return."""

    count: int = Field(DEFAULT_COUNT, ge=1, le=MAX_COUNT)


class PreviewIn(Shape):
    """A trigger that need not exist. `after` is exclusive, default now; `config.timezone` overrides `timezone`."""

    type: str = Field(max_length=50, examples=sorted(CLOCKED))
    config: Config = Field(default_factory=dict)
    timezone: Zone | None = None
    after: LocalMoment | None = None
    count: int = Field(DEFAULT_COUNT, ge=1, le=MAX_COUNT)


class PreviewNote(Answer):
    """The effect of a clock change on one of the fire times."""

    at: str
    kind: str
    text: str


class PreviewOut(Answer):
    """The next fire times, local with offset, and the effects of clock changes on them."""

    fire_times: list[str]
    notes: list[PreviewNote]


class HeartbeatIn(Shape):
    """A heartbeat. Omitted fields get their defaults."""

    minutes: float = Field(DEFAULT_MINUTES, ge=1, le=LONGEST_SECONDS / 60)
    only_between: OnlyBetween | None = Field(None, description="Hours in the agent's zone; null: the whole day.")
    instruction: Annotated[str, StringConstraints(min_length=1, max_length=MAX_REASON)] = Field(
        DEFAULT_INSTRUCTION, description="The instructions that the agent gets at each heartbeat."
    )
    enabled: bool = True
