"""What pages rank or find as CSV, read at once, as it is never long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from api.auth import Caller
from api.services import services
from api.web.csv.files import Column, columns_of
from api.web.failed import FILTERS as OF_DEAD
from api.web.insights import FILTERS as OF_INSIGHTS
from api.web.insights import period_of
from api.web.list_filters import Filter, RequestFilters, ledger_filter
from scheduler.domain.errors import InvalidField
from scheduler.storage.read_models.failures import list_error_kinds
from scheduler.storage.read_models.insights import InsightsFilter, read_buckets, read_insights
from scheduler.storage.read_models.overviews import agent_names
from scheduler.storage.read_models.search import search

Read = Callable[[Connection, Caller, RequestFilters], Sequence[Any]]

FIGURES = "start firings wakes failures skipped lateness_p50 lateness_p95 lateness_max tokens_in tokens_out cost"
AGENT_FIGURES = columns_of("id name wakes failures skipped tokens_in tokens_out cost")


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table: its filters, how it is read, and its columns."""

    filters: Sequence[Filter]
    read: Read
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class KindRow:
    """A kind of errors with the names of its agents."""

    kind: str
    example: str
    count: int
    last: Any
    invocation_id: Any
    agents: Sequence[str]


def _figures(who: Caller, asked: RequestFilters) -> InsightsFilter:
    span = period_of(asked, services().clock.now())
    if span is None:
        raise InvalidField("; ".join(asked.errors.values()))
    return InsightsFilter(who.tenant_id, span, asked.get("agent_id"), asked.get("trigger_id"))


def _ranking(name: str) -> Read:
    return lambda conn, who, asked: getattr(read_insights(conn, _figures(who, asked)), name)


def _error_kinds(conn: Connection, who: Caller, asked: RequestFilters) -> Sequence[KindRow]:
    kinds = list_error_kinds(conn, who.tenant_id, ledger_filter(asked))
    names = agent_names(conn, who.tenant_id, set().union(*(each.agent_ids for each in kinds)))
    return [
        KindRow(
            each.kind,
            each.example,
            each.count,
            each.last,
            each.invocation_id,
            sorted(names.get(agent, str(agent)) for agent in each.agent_ids),
        )
        for each in kinds
    ]


TABLES: Mapping[str, TableOf] = MappingProxyType(
    {
        "insights": TableOf(
            OF_INSIGHTS,
            lambda conn, who, asked: read_buckets(conn, _figures(who, asked)),
            columns_of(FIGURES),
        ),
        "failing-agents": TableOf(OF_INSIGHTS, _ranking("failing_agents"), AGENT_FIGURES),
        "spending-agents": TableOf(OF_INSIGHTS, _ranking("spending_agents"), AGENT_FIGURES),
        "noisy-triggers": TableOf(
            OF_INSIGHTS, _ranking("noisy_triggers"), columns_of("id name type agent_id agent_name firings")
        ),
        "error-kinds": TableOf(OF_DEAD, _error_kinds, columns_of("kind example count last invocation_id agents")),
        "search": TableOf(
            (Filter("q", "Text"),),
            lambda conn, who, asked: search(conn, who.tenant_id, asked.get("q")) if asked.get("q") else (),
            columns_of("kind id title detail at"),
        ),
    }
)
