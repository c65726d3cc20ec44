"""An agent's own triggers share one rate limit, whatever it creates anew, and belong to the chain of their run."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from scheduler.domain.acks import MAX_DEFERRALS
from scheduler.domain.run import Replied
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import make_due, make_trigger
from tests.support.invocations import (
    AgentWithTrigger,
    close,
    end,
    fire,
    make_agent_with_trigger,
    row_of,
    run_once,
    start,
    window_of,
)
from tests.support.stepped_scheduler import SteppedScheduler
from tests.support.tools import Toolbox

LATER = "2090-01-01T00:00:00Z"


def once(db: Database, agent_id: UUID, name: str) -> AgentWithTrigger:
    """Creates a once trigger of the agent that is due now."""
    tools = Toolbox(db, agent_id)
    made = tools("set_trigger", name=name, type="once", config={"at": LATER}, reason="again", cooldown_seconds=0)
    make_due(db, UUID(made["id"]))
    return AgentWithTrigger(agent_id, UUID(made["id"]))


def until_due(db: Database, woken: AgentWithTrigger) -> timedelta:
    """Returns how long the agent's window still waits."""
    query = "SELECT due_at - clock_timestamp() FROM invocations WHERE state = 'collecting' AND agent_id = :id"
    ((left,),) = rows(db, query, id=woken.agent_id)
    assert isinstance(left, timedelta)
    return left


def run_next(db: Database) -> UUID:
    """Runs what is due, else what waits for the rate limit, once."""
    ready = list(close(db).ready)
    if not ready:
        change(db, "UPDATE invocations SET due_at = clock_timestamp() WHERE state = 'collecting'")
        ready = list(close(db).ready)
    end(db, start(db, ready[0]), Replied("later"))
    return ready[0]


def test_a_loop_of_cancelled_and_new_triggers_wakes_once_a_minute(
    db: Database, scheduler: SteppedScheduler
) -> None:
    """Without a window delay and without a cooldown; the audit trail names the loop, once."""
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    tools = Toolbox(db, woken.agent_id)
    for number in range(6):
        close(db)
        started = rows(db, "SELECT id FROM invocations WHERE state = 'ready'")
        if started:
            claimed = start(db, started[0].id)
            once(db, woken.agent_id, f"again {number}")
            end(db, claimed, Replied("done"))
        else:
            tools("cancel_trigger", trigger="again 1")
            once(db, woken.agent_id, "again 1")
        scheduler.run_pass()
    wakes = rows(db, "SELECT 1 FROM invocations WHERE state <> 'collecting'")
    assert len(wakes) == 2, "the first call, and the first trigger of its own"
    assert timedelta(seconds=10) < until_due(db, woken) <= timedelta(seconds=60)
    assert window_of(db, woken).firing_count >= 3, "nothing is lost: they wait for one window"
    (event,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'agent.paced'")
    assert "The loop: ada sets 'again" in event.detail["note"]
    change(db, "UPDATE invocations SET due_at = clock_timestamp() WHERE state = 'collecting'")
    assert len(close(db).ready) == 1


@pytest.mark.parametrize("how", [{}, {"immediate": True}, {"ignore_cooldown": True}])
def test_neither_urgency_nor_other_triggers_break_the_pace(db: Database, how: dict[str, bool]) -> None:
    woken = make_agent_with_trigger(db)
    first, second = once(db, woken.agent_id, "one"), once(db, woken.agent_id, "two")
    change(db, "UPDATE triggers SET urgent = true WHERE id = :id", id=second.trigger_id)
    fire(db, first)
    run_once(db, Replied("done"))
    fire(db, second, **how)
    assert until_due(db, woken) > timedelta(seconds=10)
    fire(db, woken)
    assert len(close(db).ready) == 1, "what others wake it for is not delayed, and takes the waiting ones along"


def test_waits_do_not_add_up(db: Database) -> None:
    """A window that closed early for another reason counts as the wake that it was."""
    woken = make_agent_with_trigger(db)
    for number in range(4):
        fire(db, once(db, woken.agent_id, f"again {number}"))
        fire(db, woken)
        run_once(db, Replied("done"))
    fire(db, once(db, woken.agent_id, "last"))
    assert until_due(db, woken) <= timedelta(seconds=60)


def test_what_a_person_asks_for_and_what_is_written_keep_no_pace(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    own = once(db, woken.agent_id, "one")
    fire(db, own)
    run_once(db, Replied("done"))
    fire(db, own, ignore_pace=True)
    assert len(close(db).ready) == 1
    tools = Toolbox(db, woken.agent_id)
    make_trigger(db, woken.agent_id)
    tools("set_trigger", name="mail", type="webhook", reason="x")
    paced = {row.name: row.is_paced for row in rows(db, "SELECT name, is_paced FROM triggers")}
    assert paced["mail"] is True
    assert sum(paced.values()) == 2


def test_a_trigger_made_in_a_run_belongs_to_its_chain(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    (root,) = fire(db, woken, depth=3)
    claimed = start(db, close(db).ready[0])
    own = once(db, woken.agent_id, "deep")
    (firing,) = fire(db, own)
    (stands,) = rows(db, "SELECT root_id, depth FROM firings WHERE id = :id", id=firing)
    assert stands == (root, 3)
    end(db, claimed, Replied("done"))
    (free,) = fire(db, once(db, woken.agent_id, "shallow"))
    assert rows(db, "SELECT root_id, depth FROM firings WHERE id = :id", id=free) == [(free, 0)]


def test_a_change_in_a_deeper_run_goes_down_with_it(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    own = once(db, woken.agent_id, "mine")
    fire(db, woken, depth=4)
    start(db, close(db).ready[0])
    Toolbox(db, woken.agent_id)("update_trigger", trigger="mine", reason="once more")
    (firing,) = fire(db, own)
    assert rows(db, "SELECT depth FROM firings WHERE id = :id", id=firing) == [(4,)]


def test_a_firing_is_not_put_off_for_ever(db: Database) -> None:
    """Twenty times; each time it returns, and in the end this is noted."""
    woken = make_agent_with_trigger(db)
    (firing_id,) = fire(db, woken)
    tools = Toolbox(db, woken.agent_id)
    for _ in range(MAX_DEFERRALS):
        run_next(db)
        tools("ack_firing", firing_id=str(firing_id), status="deferred", until=LATER)
        tools("ack_firing", firing_id=str(firing_id), status="deferred", until=LATER)
        change(db, "UPDATE firings SET deferred_until = clock_timestamp() WHERE ack = 'deferred'")
    run_next(db)
    said = tools.refused("ack_firing", firing_id=str(firing_id), status="deferred", until=LATER)
    assert f"deferred {MAX_DEFERRALS} times" in said
    tools("ack_firing", firing_id=str(firing_id), status="handled")


def test_deferred_firings_come_back_at_the_same_pace(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    first, second = fire(db, woken, 2)
    run_once(db, Replied("later"))
    tools = Toolbox(db, woken.agent_id)
    for firing_id in (first, second):
        tools("ack_firing", firing_id=str(firing_id), status="deferred", until=LATER)
    back = "UPDATE firings SET deferred_until = clock_timestamp() WHERE id = :id"
    change(db, back, id=first)
    assert row_of(db, run_next(db)).firing_count == 1
    change(db, back, id=second)
    close(db)
    assert until_due(db, woken) > timedelta(seconds=10)


def test_an_agent_gives_itself_no_rights(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    assert "managed_by_agent" in Toolbox(db, woken.agent_id).refused(
        "update_trigger", trigger=str(woken.trigger_id), managed_by_agent=True
    )
