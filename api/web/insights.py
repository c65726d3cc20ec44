"""The page of figures over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import page_blueprint, render
from api.web.charts import Chart, charts_of, times_query
from api.web.list_filters import AGENT, FROM, TO, TRIGGER, RequestFilters, choice, read_filters
from api.web.zones import shown_zone
from scheduler.domain.errors import InvalidField
from scheduler.domain.periods import Period, Step, period
from scheduler.storage.read_models.insights import (
    Bucket,
    Figures,
    InsightsFilter,
    read_buckets,
    read_insights,
    sum_of,
)
from scheduler.storage.tenants import get_tenant
from scheduler.storage.usage import MonthlySpending, read_month

RANGE_WORDS = {"24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "90d": "last 90 days"}
FILTERS = (
    AGENT,
    TRIGGER,
    replace(choice("range", "Range", RANGE_WORDS), hint="Default: the last 24 hours."),
    FROM,
    TO,
    choice("step", "By", [each.value for each in Step]),
)
RANGES = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
USUAL = "24h"

insights = page_blueprint("insights")


@insights.get("/insights")
@needs(Level.READ)
def show_insights() -> Response:
    """Shows figures over time, of all agents or of one agent or trigger, and the highest ones."""
    who, now = caller(), services().clock.now()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        span = None if asked.errors else period_of(asked, now)
        if span is None:
            return render("insights.html", asked.status, asked=asked, found=None)
        found = read_insights(
            conn, InsightsFilter(who.tenant_id, span, asked.get(AGENT.name), asked.get(TRIGGER.name))
        )
        month = read_month(conn, get_tenant(conn, who.tenant_id), now, asked.get(AGENT.name))
    narrowed = {name: asked.given[name] for name in (AGENT.name, TRIGGER.name) if name in asked.given}
    return render(
        "insights.html",
        asked=asked,
        found=found,
        drawn=charts_of(found.buckets, span.step, span.zone, services().settings.currency),
        month=month,
        month_end_cost=_at_the_end(month, now),
        query=times_query(span.since, span.until, span.zone),
        narrowed=urlencode(narrowed),
    )


@dataclass(frozen=True, slots=True)
class Panel:
    """The last week on the page of an agent or trigger."""

    rows: Sequence[Bucket]
    totals: Figures
    drawn: Sequence[Chart]
    step: Step
    zone: str
    narrowed: str
    """The filter of lists, as the query of a link."""


def read_panel(conn: Connection, **owner: UUID) -> Panel:
    """Reads the last week of an agent (`agent_id`) or a trigger (`trigger_id`), by day."""
    now = services().clock.now()
    span = period(now - timedelta(days=6), now, Step.DAY, shown_zone(), now)
    rows = read_buckets(conn, InsightsFilter(caller().tenant_id, span, **owner))
    drawn = charts_of(rows, span.step, span.zone, services().settings.currency)
    shown = [each for each in drawn if each.name in ("Firings", "Wakes") or not each.is_empty]
    return Panel(rows, sum_of(rows), shown, span.step, span.zone, urlencode(owner))


def period_of(asked: RequestFilters, now: datetime) -> Period | None:
    """Returns the period of the filters; None when it is invalid, which the form shows."""
    since, until = asked.get(FROM.name), asked.get(TO.name)
    if since is None:
        since = (until or now) - RANGES[asked.get("range") or USUAL]
    step = asked.get("step")
    try:
        return period(since, until, None if step is None else Step(step), shown_zone(), now)
    except InvalidField as error:
        asked.refuse(FROM.name, InvalidField(error.message[0].upper() + error.message[1:]))
        return None


def _at_the_end(month: MonthlySpending, now: datetime) -> Decimal | None:
    """Returns the month's cost if spending continues at its rate; None within its first day."""
    passed = now - month.start
    if passed < timedelta(days=1):
        return None
    return month.spent.cost * Decimal((month.end - month.start) / passed)
