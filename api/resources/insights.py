"""Figures over time: firings, wakes, failures, lateness and cost."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import answer, blueprint
from api.schemas.insights import InsightsOut, InsightsQuery
from api.services import services
from scheduler.domain.local_time import zone_info
from scheduler.domain.periods import period
from scheduler.storage.read_models.insights import Insights, InsightsFilter, read_insights
from scheduler.storage.tenants import get_tenant
from scheduler.storage.usage import MonthlySpending, read_month

insights = blueprint("insights", "Figures over time, by hour or day, agent and trigger.")


@insights.get("/insights", responses={200: InsightsOut})
@needs(Level.READ, own=True)
def show_insights(query: InsightsQuery) -> Response:
    """Show figures by hour or day, the agents that fail and spend most, and the triggers that fire most."""
    who = caller()
    agent_id = who.narrow(query.agent_id)
    now = services().clock.now()
    with services().db.begin() as conn:
        tenant = get_tenant(conn, who.tenant_id)
        tenant_zone = tenant.timezone
        zone = query.zone or tenant_zone
        span = period(_in(query.since, zone), _in(query.until, zone), query.step, zone, now)
        found = read_insights(conn, InsightsFilter(who.tenant_id, span, agent_id, query.trigger_id))
        month = read_month(conn, tenant, now, agent_id)
    return answer(_out(found, month))


def _in(moment: datetime | None, zone: str) -> datetime | None:
    return moment.replace(tzinfo=zone_info(zone)) if moment is not None and moment.tzinfo is None else moment


def _out(found: Insights, month: MonthlySpending) -> InsightsOut:
    span = found.asked.period
    values = {name: getattr(found, name) for name in found.__dataclass_fields__ if name != "asked"}
    spent = {"start": month.start, "end": month.end, "budget": month.budget, **month.spent._asdict()}
    return InsightsOut.model_validate(
        {
            "start": span.since,
            "end": span.until,
            "step": span.step,
            "zone": span.zone,
            "currency": services().settings.currency,
            **values,
            "month": spent,
        },
        from_attributes=True,
    )
