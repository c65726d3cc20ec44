"""Computes the slots that passed while a trigger was paused, which are not recorded."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from api.web.base import Paged
from scheduler.domain.errors import InvalidField
from scheduler.domain.misfire import COUNTED_SLOTS, TICK
from scheduler.storage.history_rows import HistoryRow
from scheduler.storage.trigger_views import TriggerView
from scheduler.triggers.base import faults_of
from scheduler.triggers.recurring import RecurringConfig
from scheduler.triggers.registry import kind_of

PAUSES = ("trigger.paused",)
RESUMES = ("trigger.resumed",)
BEGINNINGS = (*PAUSES, *RESUMES, "trigger.created", "trigger.updated", "trigger.finished", "trigger.expired")
"""Events before which the state or the schedule may have been different."""


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
