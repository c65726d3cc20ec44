"""Who is notified of a reply: the open sessions, else the latest one, in the transaction that ends the run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.domain.run import Failed, Replied
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_trigger
from tests.support.invocations import (
    AgentWithTrigger,
    close,
    end,
    fire,
    make_agent_with_trigger,
    ready_one,
    row_of,
    run_once,
    start,
)
from tests.support.messages import listen, look, make_user, write
from tests.support.stepped_scheduler import SteppedScheduler


@pytest.fixture
def woken(db: Database) -> AgentWithTrigger:
    """Creates an agent with a trigger that has a reason."""
    agent_id = make_agent(db, "ada", dedup_delay_seconds=0.0)
    trigger = make_trigger(db, agent_id, "webhook", cooldown_seconds=0.0, reason="Look at the queue.")
    return AgentWithTrigger(agent_id, trigger.id)


def told(db: Database, session_id: UUID) -> list[str]:
    """Returns what the agent said in a session."""
    query = "SELECT text FROM messages WHERE session_id = :id AND from_type = 'agent' ORDER BY id"
    return [row.text for row in rows(db, query, id=session_id)]


def notifications(db: Database) -> list[Any]:
    return rows(db, "SELECT * FROM notifications ORDER BY id")


def open_socket(db: Database, age: float = 0.0, **columns: UUID) -> None:
    """Creates an open socket that its process reported `age` seconds ago."""
    fields = {"agent_id": None, "user_id": None, "session_id": None, "tenant_id": DEFAULT_TENANT} | columns
    change(
        db,
        """
        INSERT INTO live_sockets (id, tenant_id, agent_id, user_id, session_id, seen_at)
        VALUES (:id, :tenant_id, :agent_id, :user_id, :session_id, clock_timestamp() - :age)
        """,
        id=new_id(),
        age=timedelta(seconds=age),
        **fields,
    )


def reply(db: Database, woken: AgentWithTrigger, text: str = "All quiet.") -> UUID:
    fire(db, woken)
    return run_once(db, Replied(text))


def test_a_reply_goes_to_the_session_where_a_person_last_wrote(db: Database, woken: AgentWithTrigger) -> None:
    grace, linus = make_user(db), make_user(db, "linus")
    latest = write(db, woken.agent_id, from_user_id=grace).session_id
    newer = write(db, woken.agent_id, from_user_id=linus).session_id
    write(db, woken.agent_id, "and one more", from_user_id=grace)
    invocation_id = reply(db, woken)
    assert told(db, latest) == ["⚡ Look at the queue.\n\nAll quiet."]
    assert told(db, newer) == []
    [notification] = notifications(db)
    assert notification.invocation_id == invocation_id
    assert notification.session_ids == [latest]
    [name] = notification.triggers
    assert name == rows(db, "SELECT name FROM triggers WHERE id = :id", id=woken.trigger_id)[0].name


def test_open_sessions_get_it_and_the_latest_does_not(db: Database, woken: AgentWithTrigger) -> None:
    people = [make_user(db, name) for name in ("grace", "linus", "alan")]
    first, second, latest = [write(db, woken.agent_id, from_user_id=each).session_id for each in people]
    open_socket(db, session_id=first)
    open_socket(db, user_id=people[1])
    reply(db, woken)
    assert (len(told(db, first)), len(told(db, second)), len(told(db, latest))) == (1, 1, 0)


def test_a_session_open_twice_gets_one_message(db: Database, woken: AgentWithTrigger) -> None:
    user_id = make_user(db)
    session_id = write(db, woken.agent_id, from_user_id=user_id).session_id
    open_socket(db, session_id=session_id)
    open_socket(db, session_id=session_id)
    open_socket(db, user_id=user_id)
    reply(db, woken)
    assert len(told(db, session_id)) == 1


def test_sockets_of_a_killed_process_and_of_other_agents_open_nothing(
    db: Database, woken: AgentWithTrigger
) -> None:
    people = [make_user(db, name) for name in ("grace", "linus")]
    stale, latest = [write(db, woken.agent_id, from_user_id=each).session_id for each in people]
    other = make_agent(db, "eve")
    foreign = write(db, other, from_user_id=people[0]).session_id
    open_socket(db, 60, session_id=stale)
    open_socket(db, session_id=foreign)
    open_socket(db, user_id=people[0], agent_id=other)
    open_socket(db, session_id=stale, tenant_id=new_id())
    reply(db, woken)
    assert (told(db, stale), told(db, foreign)) == ([], [])
    assert len(told(db, latest)) == 1


def test_without_any_session_the_reply_stays_on_the_invocation(db: Database, woken: AgentWithTrigger) -> None:
    invocation_id = reply(db, woken)
    assert row_of(db, invocation_id).reply == "All quiet."
    [notification] = notifications(db)
    assert notification.session_ids == []
    assert rows(db, "SELECT * FROM messages") == []


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_nobody_is_notified_of_an_empty_reply(db: Database, woken: AgentWithTrigger, text: str) -> None:
    session_id = write(db, woken.agent_id, from_user_id=make_user(db)).session_id
    reply(db, woken, text)
    assert (told(db, session_id), notifications(db)) == ([], [])


def test_nobody_is_notified_of_a_failure_or_of_a_run_that_was_cancelled(
    db: Database, woken: AgentWithTrigger
) -> None:
    fire(db, woken)
    run_once(db, Failed("never", permanent=True))
    claimed = start(db, ready_one(db, woken))
    change(db, "UPDATE invocations SET cancel_requested = true WHERE id = :id", id=claimed.id)
    assert end(db, claimed, Replied("too late"))
    assert notifications(db) == []


def test_agents_among_themselves_notify_nobody(db: Database, woken: AgentWithTrigger) -> None:
    session_id = write(db, woken.agent_id, from_user_id=make_user(db)).session_id
    fire(db, woken, 2, trust=Trust.AGENT)
    run_once(db, Replied("to my colleague"))
    assert (told(db, session_id), notifications(db)) == ([], [])


def test_one_firing_that_is_no_agents_is_enough(db: Database, woken: AgentWithTrigger) -> None:
    fire(db, woken, trust=Trust.AGENT)
    fire(db, woken)
    run_once(db, Replied("for people too"))
    assert len(notifications(db)) == 1


def test_the_answer_that_an_agent_waited_for_is_for_its_user(db: Database) -> None:
    agent_id = make_agent(db, "ada", dedup_delay_seconds=0.0)
    wait = make_trigger(db, agent_id, "webhook", cooldown_seconds=0.0)
    change(db, "UPDATE triggers SET type = 'a2a_wait' WHERE id = :id", id=wait.id)
    fire(db, AgentWithTrigger(agent_id, wait.id), trust=Trust.AGENT)
    run_once(db, Replied("Eve says yes."))
    assert len(notifications(db)) == 1


def test_several_triggers_share_one_message(db: Database, woken: AgentWithTrigger) -> None:
    second = make_trigger(
        db,
        woken.agent_id,
        "webhook",
        name="second",
        cooldown_seconds=0.0,
        reason="not shown",
        notification_summary="The mail",
    )
    session_id = write(db, woken.agent_id, from_user_id=make_user(db)).session_id
    fire(db, woken)
    fire(db, AgentWithTrigger(woken.agent_id, second.id))
    fire(db, woken)
    run_once(db, Replied("Both done."))
    assert told(db, session_id) == ["⚡ Look at the queue. · The mail\n\nBoth done."]
    assert notifications(db)[0].triggers[1:] == ["second"]


def test_an_end_written_twice_tells_once(db: Database, woken: AgentWithTrigger) -> None:
    session_id = write(db, woken.agent_id, from_user_id=make_user(db)).session_id
    claimed = start(db, ready_one(db, woken))
    assert end(db, claimed, Replied("once"))
    assert not end(db, claimed, Replied("once"))
    assert len(told(db, session_id)) == 1


def test_who_listens_to_the_agent_hears_what_it_tells_people_one_deeper(
    db: Database, woken: AgentWithTrigger, scheduler: SteppedScheduler
) -> None:
    eve = make_agent_with_trigger(db, "eve")
    ear = listen(db, eve.agent_id, {"from_agent": str(woken.agent_id), "any_session": True})
    write(db, woken.agent_id, from_user_id=make_user(db))
    [firing_id] = fire(db, woken)
    run_once(db, Replied("hear"))
    look(db, scheduler)
    [heard] = rows(db, "SELECT * FROM firings WHERE trigger_id = :id", id=ear.id)
    assert (heard.root_id, heard.depth) == (firing_id, 1)
    assert heard.data["messages"][0]["text"] == "⚡ Look at the queue.\n\nhear"


def test_the_end_and_what_it_tells_are_one_transaction(db: Database, woken: AgentWithTrigger) -> None:
    fire(db, woken)
    [invocation_id] = close(db).ready
    claimed = start(db, invocation_id)
    change(db, "ALTER TABLE notifications ADD CONSTRAINT closed CHECK (false) NOT VALID")
    with pytest.raises(Exception, match="closed"):
        end(db, claimed, Replied("lost?"))
    assert row_of(db, invocation_id).state == "running"
