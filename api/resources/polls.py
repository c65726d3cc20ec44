"""Polls: their state, and trials."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response
from pydantic import Field

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint, problems
from api.resources.triggers import reached
from api.schemas.base import Answer, Time
from api.schemas.triggers import Config, TriggerPath
from api.services import services
from scheduler.domain.shapes import Shape
from scheduler.intake.polls.data import ShownValue, shown


class TrialIn(Shape):
    """A trigger that checks something and need not exist."""

    type: str = Field("poll", description="`poll`, or another type that can be tried (`GET /trigger-types`).")
    config: Config


class TrialOut(Answer):
    """The result of a trial. Nothing was recorded."""

    status: Literal["found", "nothing_there", "failed"]
    value: Any = Field(None, description="The value at the path, or a list if the path can select several.")
    value_cut: bool = Field(
        description="The value is long: the first 64 Ki characters of its JSON are returned as text."
    )
    as_sent: str | None = Field(
        None,
        description="The value's original JSON, when `value` cannot represent it exactly (`10.00`, `1e400`).",
    )
    would_fire: bool
    error: str | None = Field(
        description="Why it failed, that the path selects nothing, or that a key occurs twice."
    )


class PollOut(Answer):
    """The state that a poll keeps between checks."""

    checked_at: Time | None
    failures: int = Field(description="The number of consecutive failures so far.")
    first_failure_at: Time | None
    note: str | None = Field(description="The result of the last check; null on success.")
    is_seen: bool = Field(description="Whether a value, or nothing, was found since the config last changed.")
    value: Any = Field(
        None,
        description="The value that the next check is compared with; null, with a note, if nothing was found.",
    )
    value_cut: bool
    as_sent: str | None = Field(
        None,
        description="The value's original JSON, when `value` cannot represent it exactly (`10.00`, `1e400`).",
    )


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
