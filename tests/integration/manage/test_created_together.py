"""Agents and triggers that are created one by one at the same time share a transaction, which changes no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import text

from scheduler.domain.errors import Conflict, InvalidField, NotFound
from scheduler.domain.ids import new_id
from scheduler.manage.agents.service import Agents, NewAgent
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.base import Operator
from scheduler.runtimes.registry import RUNTIME
from scheduler.storage.engine import Database
from scheduler.storage.group_commit import GroupCommits
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_tenant

TICK = TriggerSpec("first", "interval", {"seconds": 60})


@contextmanager
def locked(db: Database, statement: str, id_: UUID) -> Iterator[None]:
    """Holds a row lock for the block."""
    with db.begin() as conn:
        conn.execute(text(statement), {"id": id_})
        yield


def together(
    db: Database, lock: tuple[str, UUID], groups: GroupCommits[Any, Any, Any], calls: Sequence[Callable[[], Any]]
) -> list[Future[Any]]:
    """Makes the first call, which waits for a lock, and the others meanwhile, so that they come into one batch."""
    with ThreadPoolExecutor(len(calls)) as pool:
        with locked(db, *lock):
            futures = [pool.submit(call) for call in calls]
            while sum(len(group._waiting) for group in [*groups._groups.values()]) < len(calls) - 1:
                pass
        return futures


def agents_of(db: Database) -> Agents:
    return Agents(db, Operator(BOX, AllowedPrivate(), ["echo"], []))


def new_agent(name: str, command: str = "echo") -> NewAgent:
    return NewAgent({"name": name}, RUNTIME.validate_python({"kind": "command", "name": command}))


def test_agents_share_a_transaction_and_a_refused_one_fails_alone(db: Database) -> None:
    agents = agents_of(db)
    wanted = [new_agent("ada"), new_agent("bob"), new_agent("eve", "rm"), new_agent("bob"), new_agent("dan")]
    futures = together(
        db,
        ("SELECT 1 FROM tenants WHERE id = :id FOR UPDATE", DEFAULT_TENANT),
        agents._new,
        [partial(agents.create, DEFAULT_TENANT, new, actor=f"key:{id(new)}") for new in wanted],
    )
    assert isinstance(futures[2].exception(), InvalidField)
    made = [each.result().row for each in (futures[0], futures[4])]
    assert [each.name for each in made] == ["ada", "dan"]
    bobs = Counter(type(each.exception()) for each in (futures[1], futures[3]))
    assert bobs == {type(None): 1, Conflict: 1}
    with db.begin() as conn:
        named = conn.execute(text("SELECT id, name FROM agents WHERE name IN ('ada', 'bob', 'dan', 'eve')")).all()
        audited = conn.execute(text("SELECT subject_id, actor FROM audit_events")).all()
    assert sorted(name for _, name in named) == ["ada", "bob", "dan"]
    actors = dict(map(tuple, audited))
    assert actors.keys() == {id_ for id_, _ in named}
    assert [actors[each.id] for each in made] == [f"key:{id(wanted[0])}", f"key:{id(wanted[4])}"]


def test_agents_created_at_once_are_one_commit(db: Database) -> None:
    agents = agents_of(db)
    together(
        db,
        ("SELECT 1 FROM tenants WHERE id = :id FOR UPDATE", DEFAULT_TENANT),
        agents._new,
        [partial(agents.create, DEFAULT_TENANT, new_agent(f"a{n}"), actor="t") for n in range(8)],
    )
    with db.begin() as conn:
        counts = conn.execute(
            text("SELECT xmin::text, count(*) FROM agents WHERE name LIKE 'a_' GROUP BY 1")
        ).all()
    assert sorted(count for _, count in counts) == [1, 7]


def test_no_more_triggers_than_allowed_are_made_at_once(db: Database) -> None:
    triggers = Triggers(db, BOX)
    few, many = make_agent(db, "few", max_triggers=3), make_agent(db, "many")
    calls = [
        partial(triggers.create, DEFAULT_TENANT, agent, replace(TICK, name=f"t{n}"), actor="t")
        for n in range(6)
        for agent in (few, many)
    ]
    calls.append(partial(triggers.create, DEFAULT_TENANT, new_id(), TICK, actor="t"))
    futures = together(db, ("SELECT 1 FROM agents WHERE id = :id FOR UPDATE", few), triggers._new, calls)
    assert isinstance(futures.pop().exception(), NotFound)
    assert all(each.exception() is None for each in futures[1::2])
    refused = [error for each in futures[::2] if (error := each.exception())]
    assert [getattr(error, "field", None) for error in refused] == ["max_triggers"] * 3
    with db.begin() as conn:
        made = conn.execute(
            text("""
                SELECT t.agent_id, count(*), count(j.trigger_id), count(e.id) FROM triggers t
                LEFT JOIN jobs j ON j.trigger_id = t.id
                LEFT JOIN audit_events e ON e.subject_id = t.id AND e.action = 'trigger.created' GROUP BY 1
            """)
        ).all()
        limits = conn.scalar(text("SELECT count(*) FROM audit_events WHERE action = 'trigger.limit'"))
    assert {tuple(each) for each in made} == {(few, 3, 3, 3), (many, 6, 6, 6)}
    assert limits == 3


def test_a_tenant_does_not_wait_for_anothers_agent(db: Database) -> None:
    """While one tenant's agent is locked, another tenant's trigger is created by the same process."""
    triggers = Triggers(db, BOX)
    slow, other = make_agent(db, "slow"), make_tenant(db, "other")
    agent = make_agent(db, "quick", other)
    with ThreadPoolExecutor(1) as pool:
        with locked(db, "SELECT 1 FROM agents WHERE id = :id FOR UPDATE", slow):
            waiting = pool.submit(triggers.create, DEFAULT_TENANT, slow, TICK, actor="t")
            assert triggers.create(other, agent, TICK, actor="t").trigger.agent_id == agent
            assert not waiting.done()
        assert waiting.result().trigger.agent_id == slow
