"""The tool with which an agent acknowledges firings."""

from __future__ import annotations

from scheduler.domain.run import Replied
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.invocations import close, fire, make_agent_with_trigger, run_once, start
from tests.support.tools import Toolbox


def test_an_agent_acknowledges_its_own_firings_while_it_runs_and_afterwards(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    tool = Toolbox(db, woken.agent_id)
    [first] = fire(db, woken)
    run_once(db, Replied("done"))
    [second] = fire(db, woken)
    [running] = close(db).ready
    start(db, running)
    assert tool("ack_firing", firing_id=str(first), status="handled") == {
        "firing_id": str(first),
        "status": "handled",
        "until": None,
    }
    deferred = tool("ack_firing", firing_id=str(second), status="deferred", until="2001-01-31T09:00:00Z")
    assert deferred["until"] > "2001", "a time that is past becomes a minute from now, and the agent is told"
    [row] = rows(db, "SELECT actor FROM audit_events WHERE action = 'firing.handled'")
    assert row.actor == f"agent:{woken.agent_id}"


def test_a_refusal_says_what_to_do(db: Database) -> None:
    woken, stranger = make_agent_with_trigger(db), make_agent_with_trigger(db, "stranger")
    [foreign] = fire(db, stranger)
    run_once(db, Replied("done"))
    [waiting] = fire(db, woken)
    tool = Toolbox(db, woken.agent_id)
    assert "There is no firing" in tool.refused("ack_firing", firing_id=str(foreign), status="handled")
    assert "was given" in tool.refused("ack_firing", firing_id=str(waiting), status="handled")
    assert "needs until" in tool.refused("ack_firing", firing_id=str(waiting), status="deferred")
    assert "RFC 3339" in tool.refused("ack_firing", firing_id=str(waiting), status="deferred", until="tomorrow")
    assert "'handled'" in tool.refused("ack_firing", firing_id=str(waiting), status="done")
