"""Polls: their state, and trials."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint, problems
from api.resources.triggers import reached
from api.schemas.polls import PollOut, TrialIn, TrialOut
from api.schemas.triggers import TriggerPath
from api.services import services
from scheduler.intake.polls.data import ShownValue, shown

polls = blueprint("polls", "The state of polls, and trials.")

TRIED: dict[str | int, Any] = {200: TrialOut, **CHANGES, **problems(429)}


@polls.post("/triggers/try", responses=TRIED)
@needs(Level.WRITE, own=True)
def try_config(body: TrialIn) -> Response:
    """Try a config now, like a trigger's first check. Only the audit trail records it."""
    trial = services().checks.try_config(caller().trier, body.type, body.config)
    return answer(TrialOut.model_validate(trial))


@polls.post("/triggers/<trigger_id>/try", responses=TRIED)
@needs(Level.WRITE, own=True)
def try_trigger(path: TriggerPath) -> Response:
    """Try a poll now and compare with its last value. Nothing is fired."""
    trial = services().checks.try_trigger(caller().trier, reached(path.trigger_id))
    return answer(TrialOut.model_validate(trial))


@polls.get("/triggers/<trigger_id>/poll", responses={200: PollOut, **problems(409)})
@needs(Level.READ, own=True)
def show_poll(path: TriggerPath) -> Response:
    """Show a poll's last value, its consecutive failures, and the last error."""
    detail = services().checks.detail(reached(path.trigger_id))
    before = services().checks.last_value(detail)
    told = ShownValue(None) if before is None else shown(before.value)
    return answer(
        PollOut(
            checked_at=detail.checked_at,
            failures=detail.stored.failures,
            first_failure_at=detail.first_failure_at,
            note=detail.stored.note,
            is_seen=before is not None,
            value=told.value,
            value_cut=told.is_cut,
            as_sent=told.sent,
        )
    )
