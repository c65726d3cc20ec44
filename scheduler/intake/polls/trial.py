"""Tries a poll without side effects, so that its author sees the result; trials are rate-limited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.clock import Clock
from scheduler.domain.errors import LimitReached
from scheduler.domain.permissions import Permitted
from scheduler.intake.polls.custom_checks import CustomCheck, look_once
from scheduler.intake.polls.data import firing_data, shown
from scheduler.intake.polls.look import PollChecker
from scheduler.intake.polls.results import CheckDecision, FoundValue, Look, LookFailed
from scheduler.intake.polls.settle import CheckedTrigger, Poll
from scheduler.intake.polls.worker_resources import Parts, resources_of
from scheduler.net.client import GuardedClient
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.audit import Event, record_events
from scheduler.triggers.looks import LookConfig
from scheduler.triggers.poll import PollConfig


@dataclass(frozen=True, slots=True)
class PollTrial:
    """The result of a trial. `value` is cut as in a firing, in which case `value_cut` is set."""

    status: Literal["found", "nothing_there", "failed"]
    value: Any = None
    value_cut: bool = False
    as_sent: str | None = None
    """The value's original JSON, when `value` cannot represent it exactly."""
    would_fire: bool = False
    error: str | None = None
    """Why it failed, that the path selects nothing, or another remark."""
    data: Mapping[str, Any] | None = None
    """The data of the firing it would make."""


async def try_look(
    config: PollConfig | LookConfig,
    last: CheckedTrigger | None = None,
    *,
    allow_private: AllowedPrivate,
    permitted: Permitted,
    clock: Clock,
) -> PollTrial:
    """Checks once, unconditionally; `last`: the trigger's last check, None for a new one. Takes up to 30 s."""
    with ThreadPoolExecutor(1) as threads:
        async with GuardedClient(allow_private=allow_private) as client:
            looker = PollChecker(client, clock, threads)
            try:
                if isinstance(config, LookConfig):
                    cursor = last.cursor if isinstance(last, CustomCheck) else _none
                    resources = resources_of(
                        Parts(client, allow_private, clock, permitted, looker.reader_processes),
                        asyncio.get_running_loop(),
                    )
                    return _of_look(await asyncio.to_thread(look_once, config, cursor, resources))
                poll = last if isinstance(last, Poll) else None
                return _of_poll(
                    config, poll, await looker.look(config, baseline=None if poll is None else poll.baseline())
                )
            finally:
                looker.close()


def _none() -> None:
    """Returns the cursor of a first check."""


def _of_look(look: Look) -> PollTrial:
    match look:
        case CheckDecision(data=data, note=note, shown=sight):
            sight = sight if data is None else data
            if sight is None:
                return PollTrial("nothing_there", error=note or "There is nothing to fire for.")
            told = shown(sight)
            return PollTrial("found", told.value, told.is_cut, told.sent, data is not None, note, data)
        case LookFailed(note):
            return PollTrial("failed", error=note)
    raise AssertionError("a check of this kind returns nothing else")


def _of_poll(config: PollConfig, last: Poll | None, look: Look) -> PollTrial:
    match look:
        case FoundValue(seen, note=note):
            before = None if last is None else last.before()
            told = shown(seen.value)
            data = firing_data(config, before, seen)
            status: Literal["found", "nothing_there"] = "found" if seen.is_there else "nothing_there"
            return PollTrial(status, told.value, told.is_cut, told.sent, config.fires(before, seen), note, data)
        case CheckDecision(data=data, note=note, shown=sight):
            sight = sight if data is None else data
            told = shown(sight)
            parts = {name: shown(each).value for name, each in sight.items()}
            return PollTrial("found", told.value, told.is_cut, told.sent, data is not None, note, parts)
        case LookFailed(note):
            return PollTrial("failed", error=note)
    raise AssertionError("a check without validators cannot return Unchanged")


ACTION = "trigger.tried"
OF_A_CALLER = 30
OF_A_TENANT = 120
SPAN = timedelta(minutes=1)

NEWEST = text("""
    SELECT actor, clock_timestamp() - at AS age FROM audit_events
    WHERE tenant_id = :tenant_id AND action = :action ORDER BY id DESC LIMIT :most
""")


def record_try(
    conn: Connection,
    tenant_id: UUID,
    actor: str,
    config: PollConfig | LookConfig,
    *,
    trigger_id: UUID | None,
    agent_id: UUID | None,
) -> None:
    """Records that somebody is about to try a poll at a URL. Raises LimitReached above the limit per minute."""
    found = conn.execute(NEWEST, {"tenant_id": tenant_id, "action": ACTION, "most": OF_A_TENANT})
    recent = [(row.actor, row.age) for row in found if row.age < SPAN]
    own = [age for who, age in recent if who == actor]
    if len(own) >= OF_A_CALLER or len(recent) >= OF_A_TENANT:
        counted = own[:OF_A_CALLER] if len(own) >= OF_A_CALLER else [age for _, age in recent]
        raise LimitReached(
            f"Polls were tried {len(counted)} times within a minute; wait, or create the trigger.",
            retry_after=(SPAN - counted[-1]).total_seconds(),
        )
    detail = {"type": config.kind}
    if isinstance(config, PollConfig):
        url = urlsplit(config.url)
        detail = {"method": config.method, "url": f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"}
    record_events(conn, [Event(ACTION, tenant_id, trigger_id, agent_id, actor, detail)])
