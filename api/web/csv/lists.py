"""The lists of pages as CSV, read page by page: their filters, rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from api.auth import Caller, Level
from api.web.agents import FILTERS as OF_AGENTS
from api.web.agents import STATES as AGENT_STATES
from api.web.approvals import FILTERS as OF_APPROVALS
from api.web.audit import FILTERS as OF_AUDIT
from api.web.csv.files import Column, columns_of
from api.web.deliveries import FILTERS as OF_DELIVERIES
from api.web.failed import FILTERS as OF_DEAD
from api.web.firings import FILTERS as OF_FIRINGS
from api.web.invocations import FILTERS as OF_INVOCATIONS
from api.web.list_filters import Filter, RequestFilters, ledger_filter
from api.web.models import FILTERS as OF_MODELS
from api.web.models import STATES as MODEL_STATES
from api.web.notifications import FILTERS as OF_NOTIFICATIONS
from api.web.sessions import FILTERS as OF_SESSIONS
from api.web.sessions import OF_MESSAGES, wanted_messages
from api.web.settings import FILTERS as OF_SETTINGS
from api.web.sign_ins import FILTERS as OF_SIGN_INS
from api.web.sign_ins import sign_in_scope, wanted_sign_ins
from api.web.trigger_filters import FILTERS as OF_TRIGGER
from api.web.trigger_filters import STATES as TRIGGER_STATES
from scheduler.alerts.service import list_alerts, list_mutes
from scheduler.domain.errors import InvalidField
from scheduler.domain.ids import parse_id
from scheduler.storage.keys import KeyFilter, list_keys
from scheduler.storage.models import ModelFilter, list_models
from scheduler.storage.read_models.deliveries import DeliveryFilter, find_deliveries
from scheduler.storage.read_models.history import AuditFilter, list_audit, list_firings, list_invocations
from scheduler.storage.read_models.overviews import TargetFilter, find_agents, list_all_targets, list_dead
from scheduler.storage.read_models.trigger_lists import TriggerFilter, find_triggers
from scheduler.storage.read_models.triggers import get_view, list_awaiting, list_history
from scheduler.storage.sessions import SessionFilter, get_session, list_messages, list_sessions
from scheduler.storage.tenants import list_tenants
from scheduler.storage.web_sessions import list_sessions as list_sign_ins

Rows = Sequence[Any]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list: its filters, how its rows are read, and its columns."""

    filters: Sequence[Filter]
    read: Callable[[Connection, Caller, RequestFilters, int, Any], Rows]
    columns: Sequence[Column]
    names_agents: bool = False
    """Whether the name of each row's agent is added."""
    level: Level = Level.READ
    for_operators: bool = False
    cursor: Callable[[Any], Any] = attrgetter("id")
    """Where the rows after this one begin: the `after` with which they are read."""


INVOCATION = (
    "id agent_id state reason opened_at ready_at started_at finished_at "
    "firing_count attempt held_reason tokens_in tokens_out cost replayed_into"
)
SESSION = Filter("session_id", "Session", check=lambda text: parse_id(text, "session"))
ONE_TRIGGER = Filter("trigger_id", "Trigger", check=lambda text: parse_id(text, "trigger"))


def _triggers(asked: RequestFilters) -> TriggerFilter:
    return TriggerFilter(
        asked.get("agent_id"),
        asked.get("type"),
        TRIGGER_STATES.get(asked.get("state")),
        asked.get("q"),
        asked.span,
    )


def _deliveries(asked: RequestFilters) -> DeliveryFilter:
    return DeliveryFilter(
        asked.get("agent_id"), asked.get("trigger_id"), asked.get("state"), asked.span, asked.get("error")
    )


def _required(asked: RequestFilters, each: Filter) -> UUID:
    found: UUID | None = asked.get(each.name)
    if found is None:
        raise InvalidField("Required.", field=each.name)
    return found


def _messages(conn: Connection, who: Caller, asked: RequestFilters, limit: int, after: UUID | None) -> Rows:
    session = get_session(conn, who.tenant_id, _required(asked, SESSION))
    return list_messages(conn, session.id, wanted_messages(asked), limit=limit, after=after)


def _history(conn: Connection, who: Caller, asked: RequestFilters, limit: int, after: UUID | None) -> Rows:
    trigger = get_view(conn, who.tenant_id, _required(asked, ONE_TRIGGER))
    return list_history(conn, trigger, limit=limit, after=after)


def _audit(asked: RequestFilters) -> AuditFilter:
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
        "messages": ListOf(
            (SESSION, *OF_MESSAGES),
            _messages,
            columns_of(
                "id created_at role from_type from_id to_agent_id channel text length "
                "tool_name tool_arguments tool_state ended_at"
            ),
        ),
        "history": ListOf((ONE_TRIGGER,), _history, columns_of("id at actor action detail")),
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
        "mutes": ListOf(
            (),
            lambda conn, who, _, limit, after: list_mutes(conn, who.tenant_id, limit=limit, after=after),
            columns_of("id rule subject_kind subject_id subject_name until note created_by created_at"),
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
        "sign-ins": ListOf(
            OF_SIGN_INS,
            lambda conn, who, asked, limit, after: list_sign_ins(
                conn, wanted_sign_ins(asked), sign_in_scope(who), limit=limit, after=after
            ),
            columns_of("name kind created_at seen_at"),
            cursor=attrgetter("created_at", "id"),
        ),
        "tenants": ListOf(
            (),
            lambda conn, _who, _asked, limit, after: list_tenants(conn, limit=limit, after=after),
            columns_of("id name timezone created_at"),
            for_operators=True,
        ),
    }
)
