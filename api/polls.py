"""Polls: their state, and trials."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, cast
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.resource import CHANGES, answer, blueprint, problems
from api.schemas.polls import PollOut, TrialIn, TrialOut
from api.schemas.triggers import TriggerPath
from api.services import services
from scheduler.domain.errors import ConfigurationError, Conflict, InvalidField
from scheduler.domain.thread_quota import ThreadQuota
from scheduler.intake.polls.custom_checks import CustomCheck, is_custom, open_custom
from scheduler.intake.polls.data import ShownValue, shown
from scheduler.intake.polls.settle import Poll, open_poll
from scheduler.intake.polls.statements import PollDetail, read_poll
from scheduler.intake.polls.trial import PollTrial, record_try, try_look
from scheduler.manage.agent_rights import check_may_try, is_own
from scheduler.manage.agent_trigger_limits import APPROVED
from scheduler.net.headers import check_request, check_server
from scheduler.storage.agents import get_agent
from scheduler.triggers.base import CheckContext, TriggerConfig, parse_config
from scheduler.triggers.looks import LookConfig
from scheduler.triggers.poll import PollConfig, SeenValue
from scheduler.triggers.registry import KINDS, OFFERED, kind_of

polls = blueprint("polls", "The state of polls, and trials.")

_tries = ThreadQuota("polls are being tried")
"""Each occupies a thread of this process for up to 11 s."""

TRIED: dict[str | int, Any] = {200: TrialOut, **CHANGES, **problems(429)}


@polls.post("/triggers/try", responses=TRIED)
@needs(Level.WRITE, own=True)
def try_config(body: TrialIn) -> Response:
    """Try a config now, like a trigger's first check. Only the audit trail records it."""
    _may_try(caller().agent_id)
    return _tried(checked_config(body.type, body.config), None)


@polls.post("/triggers/<trigger_id>/try", responses=TRIED)
@needs(Level.WRITE, own=True)
def try_trigger(path: TriggerPath) -> Response:
    """Try a poll now and compare with its last value. Nothing is fired."""
    poll = opened(poll_detail(path.trigger_id, PollConfig, LookConfig))
    who = caller()
    if who.is_agent:
        found = services().triggers.get(who.tenant_id, path.trigger_id)
        _may_try(who.agent_id, is_approved=found.is_enabled or found.approval == APPROVED or not is_own(found))
    return _tried(poll.config, poll, path.trigger_id)


@polls.get("/triggers/<trigger_id>/poll", responses={200: PollOut, **problems(409)})
@needs(Level.READ, own=True)
def show_poll(path: TriggerPath) -> Response:
    """Show a poll's last value, its consecutive failures, and the last error."""
    detail = poll_detail(path.trigger_id, PollConfig, LookConfig)
    before = _before(detail)
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


def _before(detail: PollDetail) -> SeenValue | None:
    if not is_custom(detail.stored):
        return Poll(detail.stored, PollConfig.model_construct(**detail.stored.config)).before()
    try:
        watch = open_custom(detail.stored, services().box)
    except ConfigurationError:
        return None
    cursor = watch.cursor()
    return None if cursor is None else SeenValue(watch.config.remembered(cursor))


def opened(detail: PollDetail) -> Poll | CustomCheck:
    """Returns a checking trigger with its secrets. Raises ConfigurationError."""
    if is_custom(detail.stored):
        return open_custom(detail.stored, services().box)
    return open_poll(detail.stored, services().box)


def checked_config(type_name: str, config: Mapping[str, Any]) -> PollConfig | LookConfig:
    """Returns the config of a trigger that checks something and need not exist. Raises InvalidField."""
    who, kind = services(), kind_of(type_name)
    if not (kind.can_try and issubclass(kind, PollConfig | LookConfig)):
        tried = ", ".join(name for name, each in OFFERED.items() if each.can_try)
        raise InvalidField(f"A {type_name} trigger has no check that can be tried; use {tried}.", field="type")
    context = CheckContext(
        now=who.clock.now(),
        check_request=partial(check_request, allow_private=who.allow_private),
        check_server=partial(check_server, allow_private=who.allow_private),
        permitted=who.settings.permitted,
        by_agent=caller().is_agent,
    )
    return cast("PollConfig | LookConfig", parse_config(kind, config, context))


def poll_detail(trigger_id: UUID, *kinds: type[TriggerConfig]) -> PollDetail:
    """Returns the poll (or a trigger of one of `kinds`), if the caller may access it.

    Raises NotFound, and Conflict for another kind of trigger.
    """
    who = caller()
    found = services().triggers.get(who.tenant_id, trigger_id)
    who.must_reach(found.agent_id, "trigger", trigger_id)
    kind = KINDS.get(found.type)
    if kind is None or not issubclass(kind, kinds or (PollConfig,)):
        raise Conflict(f"A {found.type} trigger has no check; only a poll does.")
    with services().db.begin() as conn:
        return read_poll(conn, trigger_id)


def header_names(conn: Connection, trigger_id: UUID) -> list[str]:
    """Returns the names of the headers that a poll sends; none when they are encrypted with another key."""
    try:
        return sorted(open_poll(read_poll(conn, trigger_id).stored, services().box).config.headers)
    except (ConfigurationError, AttributeError):  # older configs may lack them
        return []


def look(
    config: PollConfig | LookConfig, last: Poll | CustomCheck | None, trigger_id: UUID | None = None
) -> PollTrial:
    """Checks now and compares with the `last` result; audited. `trigger_id`: of an existing poll.

    Raises LimitReached while the tenant has other trials running, and above the limit per minute.
    """
    who = caller()
    with _tries.take(who.tenant_id):
        with services().db.begin() as conn:
            record_try(conn, who.tenant_id, who.actor, config, trigger_id=trigger_id, agent_id=who.agent_id)
        return asyncio.run(
            try_look(
                config,
                last,
                allow_private=services().allow_private,
                permitted=services().settings.permitted,
                clock=services().clock,
            )
        )


def seen_now(trigger_id: UUID) -> dict[str, Any] | None:
    """Returns what a poll finds now, as its firing carries it; None when it may not fire or the check fails."""
    found = services().triggers.get(caller().tenant_id, trigger_id)
    if found.type != PollConfig.kind or not found.is_enabled:
        return None
    try:
        poll = open_poll(poll_detail(trigger_id).stored, services().box)
    except ConfigurationError:  # encrypted with another key: it cannot be checked
        return None
    trial = look(poll.config, poll, trigger_id)
    return None if trial.data is None else dict(trial.data)


def _may_try(agent_id: UUID | None, *, is_approved: bool = False) -> None:
    """Raises Forbidden when an agent tries with its own key what needs a person's approval."""
    if agent_id is not None:
        with services().db.begin() as conn:
            agent = get_agent(conn, caller().tenant_id, agent_id)
        check_may_try(approve_triggers=agent.approve_triggers, is_approved=is_approved)


def _tried(
    config: PollConfig | LookConfig, last: Poll | CustomCheck | None, trigger_id: UUID | None = None
) -> Response:
    return answer(TrialOut.model_validate(look(config, last, trigger_id)))
