"""Delegates work between agents: wakes another agent, and creates a trigger that waits for its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, InvalidField, LimitReached
from scheduler.domain.ids import new_id
from scheduler.domain.model import TriggerKind
from scheduler.intake.messages.intake import NewMessage, ReceivedMessage, receive_message
from scheduler.intake.wakes.intake import Call, wake_in_transaction
from scheduler.manage.agents.trigger_limits import check_limit
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.jobs import put_jobs
from scheduler.storage.agents import get_agent
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import AwaitedAnswer, open_waits
from scheduler.storage.triggers import insert_trigger

ANSWER_WITHIN = timedelta(hours=24)
KEPT_TASK = 2_000
"""How many characters of the task the waiting trigger stores."""
CHANNEL = "agent"


@dataclass(frozen=True, slots=True)
class Delegation:
    """The waiting trigger, whose id identifies the delegation, and the firing with the task."""

    delegation_id: UUID
    firing_id: UUID
    expires_at: datetime


def delegate(
    db: Database, tenant_id: UUID, agent_id: UUID, to_agent_id: UUID, task: str, *, actor: str
) -> Delegation:
    """Wakes an agent with a task and waits for its answer.

    `agent_id` is woken once, with the answer or at the timeout. Raises NotFound (an agent), InvalidField (the
    task, itself as target), Conflict (trigger limit reached, or the other agent takes no calls), LimitReached
    (limits on wakes between agents).
    """
    if agent_id == to_agent_id:
        raise InvalidField("An agent cannot delegate to itself; set a trigger instead.", field="agent")
    delegation_id = new_id()
    with rows.auditing_limits(db, tenant_id, actor, agent_id=agent_id), db.begin() as conn:
        agent = rows.lock_agent(conn, tenant_id, agent_id)
        check_limit(conn, agent)
        call = Call(tenant_id, to_agent_id, task, from_agent_id=agent_id, delegation_id=delegation_id)
        outcome = wake_in_transaction(conn, call, actor=actor)
        if not isinstance(outcome, LimitReached):
            name = get_agent(conn, tenant_id, to_agent_id).name
            expires_at = agent.now + ANSWER_WITHIN
            wait = {
                "id": delegation_id,
                "tenant_id": tenant_id,
                "agent_id": agent_id,
                "name": f"a2a_wait {name[:150]} {delegation_id.hex[-12:]}",
                "type": TriggerKind.A2A_WAIT.value,
                "config": {"from_agent": str(to_agent_id), "task": task[:KEPT_TASK]},
                "reason": _reason(get_agent(conn, tenant_id, agent_id).language, name, task),
                "zone": agent.agent_zone,
                "max_fires": 1,
                "cooldown_seconds": 0.0,
                "expires_at": expires_at,
                "created_by": f"agent:{agent_id}",
            }
            insert_trigger(conn, wait)
            put_jobs(conn, delegation_id, None, timed=False, enabled=True, expires_at=expires_at)
            detail = {"type": TriggerKind.A2A_WAIT.value, "to_agent_id": str(to_agent_id)}
            rows.audit(conn, "created", tenant_id, agent_id, delegation_id, actor, **detail)
            return Delegation(delegation_id, outcome.firing_id, expires_at)
    raise outcome


def answer(
    conn: Connection, tenant_id: UUID, agent_id: UUID, text: str, delegation_id: UUID | None
) -> tuple[AwaitedAnswer, ReceivedMessage]:
    """Answers the agent that waits for `agent_id`, the only one if None, in the caller's transaction.

    Raises Conflict when nobody waits, or several do and none is named, and InvalidField for the text.
    """
    waits = open_waits(conn, tenant_id, agent_id)
    found = [each for each in waits if delegation_id in (None, each.id)]
    if len(found) != 1:
        raise Conflict(_which(waits, delegation_id), field="delegation_id")
    message = NewMessage(tenant_id, found[0].agent_id, CHANNEL, text, from_agent_id=agent_id, answers=found[0].id)
    return found[0], receive_message(conn, message)


def _which(waits: list[AwaitedAnswer], delegation_id: UUID | None) -> str:
    if not waits:
        return "Nobody waits for your answer: it was given, or the time is over. Use send_message to write anyway."
    known = "; ".join(f"{each.id} of {each.agent_name}: {' '.join(each.task.split())[:80]!r}" for each in waits)
    if delegation_id is None:
        return f"More than one answer is awaited; give the delegation_id: {known}."
    return f"Nobody waits for the answer to {delegation_id} any more; open are: {known}."


REASONS = {
    "en": (
        "You gave {name} this task: “{task}”. The message here is the answer; where there is none, {name} did not "
        "answer within {hours:.0f} hours: go on without it, or ask again."
    ),
    "zh": (
        "你把这项任务交给了 {name}:“{task}”。这里的消息就是答复;如果没有消息,说明 {name} 在 {hours:.0f} 小时内没有答复:"
        "请自行继续,或再次询问。"
    ),
}
"""The text for the waiting agent, by its language."""


def _reason(language: str, name: str, task: str) -> str:
    hours = ANSWER_WITHIN.total_seconds() / 3600
    return REASONS.get(language, REASONS["en"]).format(name=name, task=task[:500], hours=hours)
