"""The settings page: the tenant's keys and limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import key_created
from api.resources.base import given
from api.schemas.tenants_and_keys import KeyIn, TenantPatch
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.validation import filled, shaped, wrong_fields
from api.web.list_filters import FROM, TO, Filter, RequestFilters, choice, read_filters
from scheduler.domain.errors import ReveilleError
from scheduler.domain.ids import parse_id
from scheduler.domain.retention import History, read_days
from scheduler.domain.text import counted
from scheduler.storage.keys import KeyFilter, list_keys
from scheduler.storage.tenants import get_tenant

LIMITS = {
    "timezone": "Time zone",
    "default_max_triggers": "Maximum triggers per agent",
    "min_poll_interval_min": "Minimum polling interval (minutes)",
    "min_heartbeat_interval": "Minimum minutes between two heartbeats",
    "max_webhook_rate": "Maximum deliveries per minute and webhook",
    "max_webhook_body_bytes": "Maximum size of a webhook's body (bytes)",
}
BUDGETS = {
    "max_tokens_per_day": "Maximum tokens per day (all agents)",
    "max_invocations_per_hour": "Maximum invocations per hour (all agents)",
    "max_concurrent_runs": "Maximum runs at once (all agents)",
    "cost_budget_per_month": "Expected cost per month at most (all agents)",
    "alert_remind_minutes": "Repeat open alerts after (minutes)",
    "alert_quiet_hours": "Quiet hours for alerts",
}
"""Limits that may be empty, which means no limit."""
RETENTION = {
    History.FIRINGS.column: "Keep firings and their payloads (days)",
    History.INVOCATIONS.column: "Keep ended invocations and their transcripts (days)",
    History.DELIVERIES.column: "Keep deliveries of webhooks (days)",
    History.MESSAGES.column: "Keep messages (days)",
    History.NOTIFICATIONS.column: "Keep notifications (days)",
    History.AUDIT.column: "Keep the audit trail (days)",
}
SCOPES = (
    ("read", "read: view everything except API keys"),
    ("write", "write: also create, change and fire"),
    ("admin", "admin: also manage API keys"),
)

FILTERS = (
    Filter("q", "Search", hint="Part of the name."),
    choice("permission", "Permission", ("read", "write", "admin", "agent")),
    replace(FROM, label="Created from"),
    replace(TO, label="Created to"),
)

settings = page_blueprint("settings")


@settings.get("/settings")
@needs(Level.READ)
def show_settings() -> Response:
    """Shows the limits, and to an admin the keys."""
    return _page()


@settings.post("/settings/keys")
@needs(Level.ADMIN)
def make() -> Response:
    """Creates a key of the tenant and shows it only this once."""
    who = caller()
    asked: dict[str, Any] = {"name": "", **filled("name", "expires_at")}
    scope = request.form.get("agent_id", "").strip()
    asked["scopes"] = [f"agent:{scope}" if scope else request.form.get("scope", "")]
    try:
        made = services().keys.create(who.requester, shaped(KeyIn, asked).spec(who.tenant_id))
    except ReveilleError as error:
        return _page(errors=wrong_fields(error), status=error.status, key_given=request.form)
    return _page(made=key_created(made).model_dump(mode="json"), status=201)


@settings.post("/settings/keys/<key_id>/revoke")
@needs(Level.ADMIN)
def revoke(key_id: str) -> Response:
    """Revokes a key for good."""
    services().keys.revoke(caller().requester, parse_id(key_id, "key"))
    return done("/settings", "Revoked. The key no longer works.")


@settings.post("/settings/limits")
@needs(Level.OPERATOR)
def change_limits() -> Response:
    """Changes the tenant's limits, which only an operator may."""
    try:
        emptied = {name: None for name in BUDGETS | RETENTION if request.form.get(name) == ""}
        patch = shaped(TenantPatch, {**emptied, **filled(*LIMITS, *BUDGETS, *RETENTION)})
        who = caller()
        services().tenants.update(who.tenant_id, given(patch), actor=who.actor)
    except ReveilleError as error:
        return _page(limit_errors=wrong_fields(error), status=error.status, given=request.form)
    return done("/settings", "Limits saved.")


def _page(status: int = 200, **values: Any) -> Response:
    who = caller()
    keys = None
    with services().db.begin() as conn:
        tenant = get_tenant(conn, who.tenant_id)
        asked = read_filters(conn, who.tenant_id, FILTERS) if request.method == "GET" else RequestFilters(FILTERS)
        if who.level >= Level.ADMIN:
            wanted = KeyFilter(asked.get("q"), asked.get("permission"), asked.span)
            keys = asked.page(
                lambda **span: list_keys(conn, who.tenant_id, wanted, operator=who.is_operator, **span)
            )
            status = max(status, asked.status)
    shown = {"errors": {}, "limit_errors": {}, "made": None, "given": {}, "key_given": {}} | values
    return render(
        "settings.html",
        status,
        tenant=tenant,
        keys=keys,
        asked=asked,
        limits=LIMITS | BUDGETS | RETENTION,
        empty=_empty_hints(),
        scopes=SCOPES,
        **shown,
    )


def _empty_hints() -> dict[str, str]:
    """Returns what an empty value of each limit means."""
    days = read_days(services().settings.retention)
    usual = {kind.column: counted(days[kind], "day") if days[kind] else "forever" for kind in History}
    alerts = {"alert_remind_minutes": "no repetition", "alert_quiet_hours": "none, or for example 22:00-07:00"}
    return dict.fromkeys(BUDGETS, "no limit") | alerts | usual
