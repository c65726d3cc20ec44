"""The lists of pages as CSV, with the same filters: `/csv/invocations?state=dead`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Caller, Level, caller, needs
from api.services import services
from api.web.agents import FILTERS as OF_AGENTS
from api.web.agents import STATES as AGENT_STATES
from api.web.approvals import FILTERS as OF_APPROVALS
from api.web.audit import FILTERS as OF_AUDIT
from api.web.base import page_blueprint
from api.web.csv_files import Column, columns_of, csv_file, csv_of
from api.web.deliveries import FILTERS as OF_DELIVERIES
from api.web.failed import FILTERS as OF_DEAD
from api.web.firings import FILTERS as OF_FIRINGS
from api.web.insights import FILTERS as OF_INSIGHTS
from api.web.insights import period_of
from api.web.invocations import FILTERS as OF_INVOCATIONS
from api.web.list_filters import Asked, Filter, ledger_filter, read_filters
from api.web.models import FILTERS as OF_MODELS
from api.web.models import STATES as MODEL_STATES
from api.web.notifications import FILTERS as OF_NOTIFICATIONS
from api.web.sessions import FILTERS as OF_SESSIONS
from api.web.settings import FILTERS as OF_SETTINGS
from api.web.trigger_filters import FILTERS as OF_TRIGGER
from api.web.trigger_filters import STATES as TRIGGER_STATES
from api.web.zones import shown_zone
from scheduler.alerts.service import list_alerts
from scheduler.domain.errors import Forbidden, InvalidField, NotFound
from scheduler.storage.delivery_lists import DeliveryFilter, find_deliveries
from scheduler.storage.insights import Asked as Figures
from scheduler.storage.insights import read_buckets
from scheduler.storage.keys import KeyFilter, list_keys
from scheduler.storage.models import ModelFilter, list_models
from scheduler.storage.overviews import TargetFilter, agent_names, find_agents, list_all_targets, list_dead
from scheduler.storage.queries import AuditFilter, list_audit, list_firings, list_invocations
from scheduler.storage.sessions import SessionFilter, list_sessions
from scheduler.storage.trigger_lists import TriggerFilter, find_triggers
from scheduler.storage.trigger_views import list_awaiting

Rows = Sequence[Any]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list: its filters, how its rows are read, and its columns."""

    filters: Sequence[Filter]
    read: Callable[[Connection, Caller, Asked, int, UUID | None], Rows]
    columns: Sequence[Column]
    names_agents: bool = False
    """Whether the name of each row's agent is added."""
    level: Level = Level.READ


INVOCATION = (
    "id agent_id state reason opened_at ready_at started_at finished_at "
    "firing_count attempt held_reason tokens_in tokens_out cost replayed_into"
)
FIGURES = "start firings wakes failures skipped lateness_p50 lateness_p95 lateness_max tokens_in tokens_out cost"


def _triggers(asked: Asked) -> TriggerFilter:
    return TriggerFilter(
        asked.get("agent_id"),
        asked.get("type"),
        TRIGGER_STATES.get(asked.get("state")),
        asked.get("q"),
        asked.span,
    )


def _deliveries(asked: Asked) -> DeliveryFilter:
    return DeliveryFilter(
        asked.get("agent_id"), asked.get("trigger_id"), asked.get("state"), asked.span, asked.get("error")
    )


def _audit(asked: Asked) -> AuditFilter:
    return AuditFilter(
        asked.get("agent_id"), asked.get("subject_id"), asked.get("action"), asked.get("trigger_id"), asked.span
    )


LISTS: Mapping[str, ListOf] = MappingProxyType(
    {
        "agents": ListOf(
            OF_AGENTS,
            lambda conn, who, asked, limit, after: find_agents(
                conn,
                who.tenant_id,
                asked.get("q") or "",
                is_paused=AGENT_STATES.get(asked.get("state")),
                made=asked.span,
                limit=limit,
                after=after,
            ),
            columns_of("id name role_description runtime_kind timezone is_paused paused_note created_at"),
        ),
        "triggers": ListOf(
            OF_TRIGGER,
            lambda conn, who, asked, limit, after: find_triggers(
                conn, who.tenant_id, _triggers(asked), limit=limit, after=after
            ),
            columns_of(
                "id agent_id agent_name name type "
                "focus_ref is_enabled paused_note next_fire_at fire_count last_fired_at"
            ),
        ),
        "invocations": ListOf(
            OF_INVOCATIONS,
            lambda conn, who, asked, limit, after: list_invocations(
                conn, who.tenant_id, ledger_filter(asked), limit=limit, after=after
            ),
            columns_of(INVOCATION),
            names_agents=True,
        ),
        "dead": ListOf(
            OF_DEAD,
            lambda conn, who, asked, limit, after: list_dead(
                conn, who.tenant_id, ledger_filter(asked), limit=limit, after=after
            ),
            columns_of(f"{INVOCATION} error"),
            names_agents=True,
        ),
        "firings": ListOf(
            OF_FIRINGS,
            lambda conn, who, asked, limit, after: list_firings(
                conn, who.tenant_id, ledger_filter(asked), limit=limit, after=after
            ),
            columns_of(
                "id agent_id trigger_id trigger_name trigger_type reason focus_ref state "
                "fired_at scheduled_for slot_count content_type payload_size trust ack invocation_id"
            ),
            names_agents=True,
        ),
        "sessions": ListOf(
            OF_SESSIONS,
            lambda conn, who, asked, limit, after: list_sessions(
                conn,
                who.tenant_id,
                SessionFilter(asked.get("agent_id"), channel=asked.get("channel"), span=asked.span),
                limit=limit,
                after=after,
            ),
            columns_of("id agent_id channel title user_id peer_agent_id created_at"),
            names_agents=True,
        ),
        "deliveries": ListOf(
            OF_DELIVERIES,
            lambda conn, who, asked, limit, after: find_deliveries(
                conn, who.tenant_id, _deliveries(asked), limit=limit, after=after
            ),
            columns_of("id trigger_id received_at verdict reason delivery_key content_type size firing_id"),
        ),
        "approvals": ListOf(
            OF_APPROVALS,
            lambda conn, who, asked, limit, after: list_awaiting(
                conn, who.tenant_id, _triggers(asked), limit=limit, after=after
            ),
            columns_of("id agent_id name type reason created_by created_at"),
            names_agents=True,
        ),
        "audit": ListOf(
            OF_AUDIT,
            lambda conn, who, asked, limit, after: list_audit(
                conn,
                who.tenant_id,
                _audit(asked),
                operator=who.level is Level.OPERATOR,
                limit=limit,
                after=after,
            ),
            columns_of("id at actor action subject_type subject_id agent_id detail"),
            names_agents=True,
        ),
        "alerts": ListOf(
            (),
            lambda conn, who, _, limit, after: list_alerts(
                conn, who.tenant_id, is_operator=who.is_operator, limit=limit, after=after
            ),
            columns_of("id rule subject_kind subject_id subject_name reason advice opened_at seen_at closed_at"),
        ),
        "notifications": ListOf(
            OF_NOTIFICATIONS,
            lambda conn, who, asked, limit, after: list_all_targets(
                conn,
                who.tenant_id,
                TargetFilter(asked.get("agent_id"), asked.get("state"), asked.span, asked.get("error")),
                limit=limit,
                after=after,
            ),
            columns_of("id agent_id name kind note delivered_at created_at"),
            names_agents=True,
        ),
        "models": ListOf(
            OF_MODELS,
            lambda conn, who, asked, limit, after: list_models(
                conn,
                who.tenant_id,
                ModelFilter(asked.get("q"), MODEL_STATES.get(asked.get("state")), asked.span),
                limit=limit,
                after=after,
            ),
            columns_of("id name provider model is_enabled input_price output_price created_at"),
        ),
        "keys": ListOf(
            OF_SETTINGS,
            lambda conn, who, asked, limit, after: list_keys(
                conn,
                who.tenant_id,
                KeyFilter(asked.get("q"), asked.get("permission"), asked.span),
                operator=who.is_operator,
                limit=limit,
                after=after,
            ),
            columns_of("id name prefix scopes created_at last_used_at"),
            level=Level.ADMIN,
        ),
    }
)

csv_lists = page_blueprint("csv")


@csv_lists.get("/csv/<name>")
@needs(Level.READ)
def download(name: str) -> Response:
    """Downloads all rows of a list that match the filters."""
    who, zone, db = caller(), shown_zone(), services().db
    if name == "insights":
        return _figures(who)
    listed = LISTS.get(name)
    if listed is None:
        raise NotFound(f"There is no list {name!r}.")
    if who.level < listed.level:
        raise Forbidden(f"{listed.level.name.capitalize()} is required to see this list.")
    with db.begin() as conn:
        asked = _valid(conn, who, listed.filters)

    def fetch(conn: Connection, *, limit: int, after: UUID | None) -> Rows:
        return listed.read(conn, who, asked, limit, after)

    def names_of(conn: Connection, rows: Rows) -> dict[UUID, str]:
        return agent_names(conn, who.tenant_id, {row.agent_id for row in rows if row.agent_id})

    return csv_file(name, db, fetch, listed.columns, zone, add=names_of if listed.names_agents else None)


def _figures(who: Caller) -> Response:
    with services().db.begin() as conn:
        asked = _valid(conn, who, OF_INSIGHTS)
        span = period_of(asked, services().clock.now())
        if span is None:
            raise InvalidField("; ".join(asked.errors.values()))
        rows = read_buckets(conn, Figures(who.tenant_id, span, asked.get("agent_id"), asked.get("trigger_id")))
    return csv_of("insights", rows, columns_of(FIGURES), span.zone)


def _valid(conn: Connection, who: Caller, filters: Sequence[Filter]) -> Asked:
    """Returns the filters. Raises InvalidField for an invalid one, as more would be listed than intended."""
    asked = read_filters(conn, who.tenant_id, filters)
    for name, message in asked.errors.items():
        raise InvalidField(message, field=name)
    return asked
