"""The pages of triggers: the list with bulk actions, and each trigger's page with its history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import Connection

from api.addresses import hook_address
from api.auth import Level, caller, needs
from api.services import services
from api.web.base import Paged, done, page_blueprint, paged, render
from api.web.insights import read_panel
from api.web.trigger_filters import wanted_triggers
from scheduler.domain.errors import InvalidField, NotFound
from scheduler.domain.ids import parse_id
from scheduler.domain.schedule import COUNTED_SLOTS, TICK
from scheduler.intake.webhooks.redeliver import send_sample
from scheduler.manage.triggers.checks import has_checks
from scheduler.storage.agents import get_agent
from scheduler.storage.read_models.deliveries import DeliveryFilter, DeliveryRow, find_deliveries
from scheduler.storage.read_models.history_rows import HistoryRow
from scheduler.storage.read_models.trigger_lists import find_triggers
from scheduler.storage.read_models.triggers import TriggerView, list_history
from scheduler.triggers.base import faults_of
from scheduler.triggers.preview import Preview
from scheduler.triggers.recurring import RecurringConfig
from scheduler.triggers.registry import CLOCKED, KINDS, UNLISTED, kind_of

PREVIEWED = 8
SHOWN_DELIVERIES = 10
SAMPLE = '{"hello": "world"}'

triggers = page_blueprint("triggers")
PAUSES = ("trigger.paused",)
RESUMES = ("trigger.resumed",)
BEGINNINGS = (*PAUSES, *RESUMES, "trigger.created", "trigger.updated", "trigger.finished", "trigger.expired")
"""Events before which the state or the schedule may have been different."""


@triggers.get("/triggers")
@needs(Level.READ)
def show_triggers() -> Response:
    """Lists triggers matching the filters, newest first."""
    tenant_id = caller().tenant_id
    with services().db.begin() as conn:
        asked, wanted = wanted_triggers(conn, tenant_id)
        shown = asked.page(lambda **span: find_triggers(conn, tenant_id, wanted, **span))
    return render("triggers.html", asked.status, triggers=shown, asked=asked)


@triggers.get("/triggers/<trigger_id>")
@needs(Level.READ)
def show_trigger(trigger_id: str) -> Response:
    """Shows a trigger: its settings, upcoming and past fires, and what kept it from firing."""
    return _page(_found(trigger_id))


@triggers.post("/triggers/<trigger_id>/pause")
@needs(Level.WRITE)
def pause(trigger_id: str) -> Response:
    """Stops new firings."""
    found, who = _found(trigger_id), caller()
    note = request.form.get("note", "").strip()[:500] or None
    services().triggers.pause(who.tenant_id, found.id, actor=who.actor, note=note)
    return done(f"/triggers/{found.id}", "Paused. It will not fire until it is resumed.")


@triggers.post("/triggers/<trigger_id>/resume")
@needs(Level.WRITE)
def resume(trigger_id: str) -> Response:
    """Starts again from now."""
    found, who = _found(trigger_id), caller()
    services().triggers.resume(who.tenant_id, found.id, actor=who.actor)
    return done(f"/triggers/{found.id}", "Resumed.")


@triggers.post("/triggers/<trigger_id>/fire")
@needs(Level.WRITE)
def fire(trigger_id: str) -> Response:
    """Fires now; a poll is checked first."""
    found, who = _found(trigger_id), caller()
    fired = services().triggers.fire(
        who.tenant_id, found.id, actor=who.actor, seen=services().checks.find_now(who.trier, found)
    )
    return done(f"/invocations/{fired.invocation_id}", f"{found.name} fired. This invocation carries it.")


@triggers.post("/triggers/<trigger_id>/delete")
@needs(Level.WRITE)
def delete(trigger_id: str) -> Response:
    """Deletes it; recorded history stays."""
    found, who = _found(trigger_id), caller()
    services().triggers.delete(who.tenant_id, found.id, actor=who.actor)
    return done("/triggers", f"{found.name} was deleted. Its recorded firings are kept.")


@triggers.post("/triggers/<trigger_id>/try")
@needs(Level.WRITE)
def try_now(trigger_id: str) -> Response:
    """Shows what a poll finds now; nothing is recorded."""
    found = _found(trigger_id)
    return _page(found, trial=services().checks.try_trigger(caller().trier, found))


@triggers.post("/triggers/<trigger_id>/sample")
@needs(Level.WRITE)
def sample(trigger_id: str) -> Response:
    """Fires a webhook with a body that a person entered."""
    found, who = _found(trigger_id), caller()
    body = request.form.get("body", "").replace("\r\n", "\n").encode()
    content_type = request.form.get("content_type", "application/json")[:200]
    with services().db.begin() as conn:
        invocation_id = send_sample(conn, who.tenant_id, found.id, body, content_type, actor=who.actor)
    return done(f"/invocations/{invocation_id}", "The sample was recorded. This invocation carries it.")


@triggers.post("/triggers/<trigger_id>/rotate")
@needs(Level.WRITE)
def rotate(trigger_id: str) -> Response:
    """Gives a webhook a new address, shown only in this response."""
    found, who = _found(trigger_id), caller()
    made = services().triggers.rotate_token(who.tenant_id, found.id, actor=who.actor)
    return made_page(made.trigger, made.hook_token)


def made_page(trigger: TriggerView, hook_token: str | None) -> Response:
    """Shows a webhook's address with a `curl` command, only this once, since only its hash is stored."""
    return render("trigger_created.html", trigger=trigger, hook_url=hook_address(str(hook_token)), sample=SAMPLE)


def _found(trigger_id: str) -> TriggerView:
    found = services().triggers.get(caller().tenant_id, parse_id(trigger_id, "trigger"))
    if found.type in UNLISTED:
        raise NotFound(f"There is no trigger {trigger_id}.")
    return found


def _page(trigger: TriggerView, **values: Any) -> Response:
    who = caller()
    has_slots = trigger.type in CLOCKED
    ahead = _ahead(trigger) if has_slots and trigger.is_enabled else None
    kind = KINDS.get(trigger.type)
    is_hook = kind is not None and kind.has_address
    detail = services().checks.detail(trigger) if kind is not None and has_checks(kind) else None
    with services().db.begin() as conn:
        history = paged(lambda **span: list_history(conn, trigger, **span))
        return render(
            "trigger.html",
            trigger=trigger,
            agent=get_agent(conn, who.tenant_id, trigger.agent_id),
            has_slots=has_slots,
            ahead=ahead,
            poll=detail,
            can_try=kind is not None and kind.can_try,
            has_address=is_hook,
            deliveries=_latest_deliveries(conn, trigger) if is_hook else [],
            panel=read_panel(conn, trigger_id=trigger.id),
            history=history,
            passed=passed_in_pauses(trigger, history, services().clock.now()),
            sample=SAMPLE,
            hook_example=hook_address("TOKEN"),
            **values,
        )


def _ahead(trigger: TriggerView) -> Preview | None:
    """Returns when it fires next; None if its kind fails, so that the page still opens to change or delete it."""
    try:
        return services().triggers.preview(trigger.tenant_id, trigger.id, PREVIEWED)
    except InvalidField:
        return None


def _latest_deliveries(conn: Connection, trigger: TriggerView) -> Sequence[DeliveryRow]:
    wanted = DeliveryFilter(trigger_id=trigger.id)
    return find_deliveries(conn, trigger.tenant_id, wanted, limit=SHOWN_DELIVERIES)


def passed_in_pauses(trigger: TriggerView, history: Paged[HistoryRow], now: datetime) -> dict[UUID, str]:
    """Returns, by event id, the slots that passed in each pause on a page of the history.

    Omits kinds without their own slots, and pauses in which the schedule was changed.
    """
    said = {}
    is_first_page = history.newest is None
    until = now if is_first_page and not trigger.is_enabled else None
    for event in history:
        if event.action in PAUSES and until is not None:
            said[event.id] = _said(trigger, event.at, until, goes_on=until is now)
        if event.action in RESUMES:
            until = event.at
        elif event.action in BEGINNINGS:
            until = None
    return {event_id: text for event_id, text in said.items() if text}


def _said(trigger: TriggerView, since: datetime, until: datetime, *, goes_on: bool) -> str:
    try:
        with faults_of(trigger.type):
            if not issubclass(kind_of(trigger.type), RecurringConfig):
                return ""
            # An interval's grid before the pause is not known any more; a grid from the start of the pause has as
            # many slots.
            config = kind_of(trigger.type).model_construct(**trigger.config)
            schedule = config.schedule(trigger.timezone, since, trigger.id)
            if schedule is None:
                return ""
            count, exact = schedule.count_between(since + TICK, until, COUNTED_SLOTS)
    except InvalidField:  # its kind is no longer installed, or fails
        return ""
    slots = f"{count}{'' if exact else '+'} run{'' if count == 1 else 's'}"
    if goes_on:
        return f"{slots} {'has' if count == 1 else 'have'} been missed since."
    return f"{slots} missed until it was resumed."
