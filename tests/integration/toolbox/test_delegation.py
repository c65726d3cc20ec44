"""One agent delegates work to another and is woken with the answer, or when there is none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.errors import Conflict, LimitReached
from scheduler.domain.ids import new_id
from scheduler.domain.run import Replied
from scheduler.invocations.requests import PreparedRun, prepare_all
from scheduler.invocations.run import ClaimedRun
from scheduler.manage.triggers.reconcile import reconcile_jobs
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import BOX, make_agent
from tests.support.invocations import close, end, start
from tests.support.messages import listen, write
from tests.support.stepped_scheduler import SteppedScheduler
from tests.support.tools import Toolbox


@pytest.fixture
def ada(db: Database) -> UUID:
    """The agent that delegates."""
    return make_agent(db, "ada", dedup_delay_seconds=0.0)


@pytest.fixture
def bob(db: Database) -> UUID:
    """The agent that answers."""
    return make_agent(db, "bob", dedup_delay_seconds=0.0)


def start_next(db: Database) -> ClaimedRun:
    """Closes the due window, and begins to run it."""
    [invocation_id] = close(db).ready
    return start(db, invocation_id)


def context_of(db: Database, claimed: ClaimedRun) -> str:
    """Returns what the agent reads."""
    with db.begin() as conn:
        work = prepare_all(conn, [claimed], "http://localhost", BOX)[claimed.id]
    assert isinstance(work, PreparedRun)
    return work.request.context


def waits(db: Database) -> list[Any]:
    """Returns the existing waits."""
    return rows(db, "SELECT *, expires_at - created_at AS life FROM triggers WHERE type = 'a2a_wait' ORDER BY id")


def test_the_waiting_agent_is_woken_once_with_the_answer(db: Database, ada: UUID, bob: UUID) -> None:
    given = Toolbox(db, ada)("delegate", agent="bob", task="Count the sheep.")
    (wait,) = waits(db)
    assert str(wait.id) == given["delegation_id"] and wait.agent_id == ada
    assert (wait.max_fires, round(wait.life.total_seconds() / 3600)) == (1, 24)
    assert wait.config == {"from_agent": str(bob), "task": "Count the sheep."}
    assert rows(db, "SELECT kind FROM jobs WHERE trigger_id = :id", id=wait.id) == [("expiry",)]
    claimed = start_next(db)
    assert claimed.agent_id == bob
    context = context_of(db, claimed)
    assert '"Count the sheep."' in context and "Message from ada:" in context
    assert f"\nAnswer awaited: give it with the tool reply, delegation_id {wait.id}\n" in context
    answered = Toolbox(db, bob)("reply", text="y" * 2_000)
    assert (answered["to_agent"], answered["woke"], answered["delegation_id"]) == ("ada", True, str(wait.id))
    end(db, claimed, Replied("done"))
    claimed = start_next(db)
    assert claimed.agent_id == ada
    context = context_of(db, claimed)
    assert "y" * 2_000 in context and "Message from bob:" in context and "Count the sheep." in context
    assert "trust=agent" in context
    end(db, claimed, Replied("done"))
    assert (waits(db)[0].is_enabled, waits(db)[0].fire_count) == (False, 1)
    assert "Nobody waits for your answer" in Toolbox(db, bob).refused("reply", text="and another")
    assert close(db).ready == []
    assert reconcile_jobs(db) == []


def test_a_plain_message_of_the_other_agent_is_its_answer_too(db: Database, ada: UUID, bob: UUID) -> None:
    Toolbox(db, ada)("delegate", agent="bob", task="Count.")
    claimed = start_next(db)
    assert Toolbox(db, bob)("send_message", to_agent="ada", text="Twelve.")["woke"] is True
    end(db, claimed, Replied("done"))
    assert "Twelve." in context_of(db, start_next(db))
    assert write(db, ada, "more", from_agent_id=bob).firing_ids == []


def test_each_of_several_waits_has_its_own_answer(db: Database, ada: UUID, bob: UUID) -> None:
    cleo = make_agent(db, "cleo", dedup_delay_seconds=0.0)
    first = Toolbox(db, ada)("delegate", agent="bob", task="one")
    second = Toolbox(db, ada)("delegate", agent="bob", task="two")
    third = Toolbox(db, cleo)("delegate", agent="bob", task="three")
    said = Toolbox(db, bob).refused("reply", text="which?")
    for given, task in ((first, "of ada: 'one'"), (second, "of ada: 'two'"), (third, "of cleo: 'three'")):
        assert f"{given['delegation_id']} {task}" in said
    assert "any more" in Toolbox(db, bob).refused("reply", text="x", delegation_id=str(new_id()))
    Toolbox(db, bob)("reply", text="to two", delegation_id=second["delegation_id"])
    assert [wait.is_enabled for wait in waits(db)] == [True, False, True]
    write(db, ada, "to the oldest", from_agent_id=bob)
    assert [wait.is_enabled for wait in waits(db)] == [False, False, True]
    texts = "SELECT data #>> '{messages,0,text}' FROM firings WHERE trigger_id = :id"
    assert rows(db, texts, id=UUID(second["delegation_id"])) == [("to two",)]
    assert rows(db, texts, id=UUID(first["delegation_id"])) == [("to the oldest",)]


def test_an_answer_that_is_also_listened_for_wakes_once(db: Database, ada: UUID, bob: UUID) -> None:
    trigger = listen(db, ada, {"from_agent": "bob"})
    given = Toolbox(db, ada)("delegate", agent="bob", task="Count.")
    claimed = start_next(db)
    Toolbox(db, bob)("reply", text="Twelve.")
    end(db, claimed, Replied("done"))
    claimed = start_next(db)
    carried = rows(db, "SELECT trigger_id FROM firings WHERE invocation_id = :id", id=claimed.id)
    assert {row.trigger_id for row in carried} == {trigger.id, UUID(given["delegation_id"])}
    assert rows(db, "SELECT count(*) FROM pair_wakes WHERE from_agent_id = :id", id=bob) == [(1,)]


def test_answers_at_once_and_the_expiry_fire_a_wait_once(
    db: Database, scheduler: SteppedScheduler, ada: UUID, bob: UUID
) -> None:
    given = Toolbox(db, ada)("delegate", agent="bob", task="Count.")
    end(db, start_next(db), Replied("done"))
    change(db, "UPDATE jobs SET next_run_time = clock_timestamp() WHERE kind = 'expiry'")
    tools = Toolbox(db, bob)

    def answer(number: int) -> bool:
        try:
            return bool(tools("reply", text=str(number), delegation_id=given["delegation_id"])["woke"])
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(answer, range(8))
        scheduler.run_pass()
        woke = list(answers)
    assert sum(woke) == 1
    assert rows(db, "SELECT count(*) FROM firings WHERE trigger_type = 'a2a_wait'") == [(1,)]
    assert waits(db)[0].fire_count == 1


@pytest.mark.usefixtures("bob")
def test_nobody_else_answers(db: Database, ada: UUID) -> None:
    cleo = make_agent(db, "cleo")
    Toolbox(db, ada)("delegate", agent="bob", task="Count.")
    assert "Nobody waits" in Toolbox(db, cleo).refused("reply", text="Twelve.")
    assert Toolbox(db, cleo)("send_message", to_agent="ada", text="Twelve.")["woke"] is False


def test_a_wait_that_expires_tells_the_waiter(
    db: Database, scheduler: SteppedScheduler, ada: UUID, bob: UUID
) -> None:
    Toolbox(db, ada)("delegate", agent="bob", task="Count.")
    (wait,) = waits(db)
    end(db, start_next(db), Replied("I never answer"))
    change(db, "UPDATE triggers SET expires_at = clock_timestamp() WHERE id = :id", id=wait.id)
    change(db, "UPDATE jobs SET next_run_time = clock_timestamp() WHERE trigger_id = :id", id=wait.id)
    scheduler.run_pass()
    scheduler.run_pass()
    (wait,) = waits(db)
    assert (wait.is_enabled, wait.paused_note, wait.fire_count) == (False, "expired", 1)
    claimed = rows(db, "SELECT id FROM invocations WHERE agent_id = :id", id=ada)
    actions = rows(db, "SELECT action FROM audit_events WHERE subject_id = :id", id=wait.id)
    assert ("trigger.expired",) in actions
    context = context_of(db, start(db, claimed[0].id))
    assert "bob did not answer within 24 hours" in context and "Message from" not in context
    assert "Nobody waits" in Toolbox(db, bob).refused("reply", text="late")


def test_a_wait_is_cancelled_but_not_changed(db: Database, ada: UUID, bob: UUID) -> None:
    tools = Toolbox(db, ada)
    given = tools("delegate", agent="bob", task="Count.")
    assert [each["type"] for each in tools("list_triggers")["triggers"]] == ["a2a_wait"]
    for change_ in ({"max_fires": 9}, {"config": {"from_agent": "x"}}, {"is_enabled": True}):
        assert "cancel it" in tools.refused("update_trigger", trigger=given["delegation_id"], **change_)
    tools("cancel_trigger", trigger=given["delegation_id"])
    assert "Nobody waits" in Toolbox(db, bob).refused("reply", text="Twelve.")
    config = {"from_agent": "x", "task": "x"}
    assert "Only the system" in tools.refused("set_trigger", name="x", type="a2a_wait", reason="x", config=config)


@pytest.mark.usefixtures("bob")
def test_an_invalid_delegation_is_refused(db: Database, ada: UUID) -> None:
    tools = Toolbox(db, ada)
    assert "to itself" in tools.refused("delegate", agent="ada", task="x")
    assert "'bob'" in tools.refused("delegate", agent="bobb", task="x")
    tight = Toolbox(db, make_agent(db, "tight", max_triggers=0))
    assert "max_triggers" in tight.refused("delegate", agent="bob", task="x")
    assert rows(db, "SELECT id FROM firings") == []


def ring(db: Database, names: str) -> dict[str, Toolbox]:
    """Creates agents by name, each with its tools."""
    return {name: Toolbox(db, make_agent(db, name, dedup_delay_seconds=0.0)) for name in names.split()}


def test_a_loop_of_delegations_and_answers_ends_by_its_depth(db: Database) -> None:
    """Each answer makes the other delegate again; the refusal and the audit trail name the loop."""
    agents = ring(db, "ada bob")
    agents["ada"]("delegate", agent="bob", task="ping")
    ids = {row.id: row.name for row in rows(db, "SELECT id, name FROM agents")}
    for name in ("bob", "ada", "bob", "ada", "bob"):
        claimed = start_next(db)
        assert ids[claimed.agent_id] == name
        if name == "bob":
            assert agents["bob"]("reply", text="pong")["woke"] is True
        else:
            agents["ada"]("delegate", agent="bob", task="ping")
        end(db, claimed, Replied("done"))
    claimed = start_next(db)
    said = agents["ada"].refused("delegate", agent="bob", task="ping")
    assert "number 6 in a chain" in said
    assert said.endswith("The loop: ada → bob → ada → bob → ada → bob → ada → bob.")
    (event,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'agent.wake_refused'")
    assert event.detail["why"] == said
    end(db, claimed, Replied("done"))
    assert close(db).ready == []


def test_a_ring_of_three_is_stopped_and_named(db: Database) -> None:
    agents = ring(db, "ada bob cleo")
    following = {"ada": "bob", "bob": "cleo", "cleo": "ada"}
    ids = {row.id: row.name for row in rows(db, "SELECT id, name FROM agents")}
    with_start = make_agent(db, "starter")
    Toolbox(db, with_start)("wake_agent", agent="ada", message="go")
    said = ""
    while not said:
        claimed = start_next(db)
        name = ids[claimed.agent_id]
        try:
            agents[name]("wake_agent", agent=following[name], message="go on")
        except LimitReached as refusal:
            said = refusal.message
        end(db, claimed, Replied("done"))
    assert "number 6 in a chain" in said
    assert said.endswith("The loop: starter → ada → bob → cleo → ada → bob → cleo → ada.")
    (event,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'agent.wake_refused'")
    assert event.detail["why"] == said
    assert close(db).ready == []


def test_a_pair_is_held_to_three_wakes_by_every_tool(db: Database, ada: UUID, bob: UUID) -> None:
    """Whatever the tool, the fourth wake within 300 s is refused; a message stays readable."""
    tools = Toolbox(db, ada)
    listen(db, bob, {"from_agent": "ada"})
    tools("wake_agent", agent="bob", message="one")
    end(db, start_next(db), Replied("done"))
    tools("send_message", to_agent="bob", text="two")
    end(db, start_next(db), Replied("done"))
    tools("delegate", agent="bob", task="three")
    end(db, start_next(db), Replied("done"))
    for tool, arguments in (("wake_agent", {"message": "four"}), ("delegate", {"task": "four"})):
        said = tools.refused(tool, agent="bob", **arguments)
        assert "at most 3 times in 300 s" in said and "The chain: ada → bob." in said
    sent = tools("send_message", to_agent="bob", text="four")
    assert sent["woke"] is False and "at most 3 times in 300 s" in sent["refused"][0]
    assert len(waits(db)) == 1


def test_a_mutual_on_message_loop_stops_by_itself_with_a_note_that_names_it(db: Database) -> None:
    agents = ring(db, "ada bob")
    ids = {row.name: row.id for row in rows(db, "SELECT id, name FROM agents")}
    names = {value: key for key, value in ids.items()}
    listen(db, ids["bob"], {"from_agent": "ada"})
    listen(db, ids["ada"], {"from_agent": "bob"})
    agents["ada"]("send_message", to_agent="bob", text="hello")
    runs = 0
    while ready := close(db).ready:
        claimed = start(db, ready[0])
        name = names[claimed.agent_id]
        agents[name]("send_message", to_agent="ada" if name == "bob" else "bob", text="and you?")
        end(db, claimed, Replied("done"))
        runs += 1
        assert runs < 10
    (event,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.limit'")
    assert "The loop: ada → bob → ada → bob" in event.detail["note"]
