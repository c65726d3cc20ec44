"""Filtered lists return the same rows whichever index is used."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.model import FiringState, InvocationState
from scheduler.storage.engine import Database
from scheduler.storage.read_models import newest
from scheduler.storage.read_models.deliveries import REFUSED, DeliveryFilter, find_deliveries
from scheduler.storage.read_models.history import (
    AuditFilter,
    LedgerFilter,
    list_audit,
    list_firings,
    list_invocations,
)
from scheduler.storage.tenants import DEFAULT_TENANT
from tests.support.database import change
from tests.support.invocations import AgentWithTrigger, bring_to, make_agent_with_trigger

STATES = (InvocationState.DEAD, InvocationState.SUCCEEDED, InvocationState.RUNNING)
NOBODY = UUID(int=9)
COUNT = 60
DELIVERED = text("""
    INSERT INTO webhook_deliveries (id, tenant_id, trigger_id, verdict, size)
    SELECT uuidv7(), tenant_id, id, CASE WHEN n % 3 = 0 THEN 'filtered' ELSE 'accepted' END, 9
    FROM triggers, generate_series(1, 10) n
""")


@pytest.fixture
def woken(db: Database) -> list[AgentWithTrigger]:
    """Two agents, each with invocations in several states and with deliveries."""
    made = [make_agent_with_trigger(db, "ada"), make_agent_with_trigger(db, "bob")]
    for one, state in product(made, STATES):
        bring_to(db, one, state)
    change(db, "UPDATE invocations SET replayed_into = id WHERE state = 'dead'")
    with db.begin() as conn:
        conn.execute(DELIVERED)
    return made


@pytest.mark.parametrize("most", [newest.MOST_TRIGGERS, 0])
def test_every_way_to_read_gives_the_same_rows(
    db: Database, woken: list[AgentWithTrigger], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(newest, "MOST_TRIGGERS", most)
    monkeypatch.setattr(newest, "FEW", most)
    agents = [None, NOBODY, *(each.agent_id for each in woken)]
    triggers = [None, *(each.trigger_id for each in woken)]
    with db.begin() as conn:
        firings = list_firings(conn, DEFAULT_TENANT, LedgerFilter(), limit=COUNT)
        runs = list_invocations(conn, DEFAULT_TENANT, LedgerFilter(), limit=COUNT)
        carried = {
            (row.id, trigger.trigger_id) for row in runs for trigger in woken if row.agent_id == trigger.agent_id
        }
        calls = find_deliveries(conn, DEFAULT_TENANT, DeliveryFilter(), limit=COUNT)
        owner = {each.trigger_id: each.agent_id for each in woken}
        assert len(firings) == len(runs) == len(calls) * 6 // 20
        for agent, trigger in product(agents, triggers):
            for state in (None, *FiringState):
                found = list_firings(conn, DEFAULT_TENANT, LedgerFilter(agent, trigger, state), limit=COUNT)
                assert [row.id for row in found] == [
                    row.id
                    for row in firings
                    if agent in (None, row.agent_id) and trigger in (None, row.trigger_id)
                    if state in (None, row.state)
                ], state
            for run_state in (None, *STATES):
                found_runs = list_invocations(
                    conn, DEFAULT_TENANT, LedgerFilter(agent, trigger, run_state), limit=COUNT
                )
                assert [row.id for row in found_runs] == [
                    row.id
                    for row in runs
                    if agent in (None, row.agent_id) and (trigger is None or (row.id, trigger) in carried)
                    if run_state in (None, row.state)
                ], run_state
            for verdict in (None, REFUSED, "filtered"):
                came = find_deliveries(conn, DEFAULT_TENANT, DeliveryFilter(agent, trigger, verdict), limit=COUNT)
                assert {row.id for row in came} == {
                    row.id
                    for row in calls
                    if agent in (None, owner[row.trigger_id]) and trigger in (None, row.trigger_id)
                    if verdict is None or row.verdict == "filtered"
                }, verdict
            seen = AuditFilter(agent, action="trigger.fired", trigger_id=trigger)
            audited = list_audit(conn, DEFAULT_TENANT, seen, operator=True, limit=COUNT)
            assert [row.id for row in audited] == [
                row.id for row in firings if agent in (None, row.agent_id) and trigger in (None, row.trigger_id)
            ]


def test_pages_of_an_agents_rows_follow_each_other(db: Database, woken: list[AgentWithTrigger]) -> None:
    agent_id = woken[0].agent_id
    change(db, "UPDATE triggers SET agent_id = CAST(:id AS uuid)", id=str(agent_id))
    with db.begin() as conn:
        every = find_deliveries(conn, DEFAULT_TENANT, DeliveryFilter(agent_id), limit=COUNT)
        pages: list[UUID] = []
        after = None
        while rows := find_deliveries(conn, DEFAULT_TENANT, DeliveryFilter(agent_id), limit=3, after=after):
            pages += [row.id for row in rows]
            after = rows[-1].id
        assert pages == [row.id for row in every]
        assert len(every) == 20
