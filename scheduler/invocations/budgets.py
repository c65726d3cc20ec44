"""Applies budgets to due windows: they close, wait until they are five minutes old, or are held.

This is decided under the locks of the agents' limits and of limited tenants, so that a raised limit cannot be
missed and two schedulers cannot both admit a tenant's last invocation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.budgets import WIDENED, WIDENED_NOTE, Budget, Spending, freed_last, is_in_no_hurry
from scheduler.domain.errors import NotFound
from scheduler.invocations.transitions import freeing
from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.budgets import Accounts, Notice, announce, lock_accounts, read_accounts
from scheduler.storage.engine import notify
from scheduler.storage.pipelines import send_along

WIDEN = text("""
    UPDATE invocations i SET due_at = v.due_at, held_note = :note
    FROM unnest(CAST(:ids AS uuid[]), CAST(:due_ats AS timestamptz[])) AS v(id, due_at) WHERE i.id = v.id
""")

HOLD = text("""
    UPDATE invocations i
    SET due_at = NULL, held_reason = 'budget', held_until = v.held_until, held_note = v.note
    FROM unnest(CAST(:ids AS uuid[]), CAST(:untils AS timestamptz[]), CAST(:notes AS text[]))
        AS v(id, held_until, note)
    WHERE i.id = v.id
""")

FREE_DUE = text(freeing("held_until <= (SELECT clock_timestamp()) AND state = 'collecting'", skip_locked=True))
_ON_BUDGET = "state = 'collecting' AND (held_reason = 'budget' OR (held_reason IS NULL AND held_note IS NOT NULL))"
FREE_ALL_OF_TENANT = text(freeing(f"tenant_id = :id AND {_ON_BUDGET}"))
FREE_ALL_OF_AGENT = text(freeing(f"agent_id = :id AND {_ON_BUDGET}"))

URGENT = text("""
    SELECT DISTINCT f.invocation_id FROM firings f JOIN triggers t ON t.id = f.trigger_id
    WHERE f.invocation_id = ANY(CAST(:ids AS uuid[])) AND t.urgent
""")

HELD = text("""
    SELECT id, agent_id FROM invocations
    WHERE state = 'collecting' AND held_reason = 'budget' AND held_until IS NOT NULL
""")


HELD_OF = text("""
    SELECT held_until, held_note FROM invocations
    WHERE agent_id = :agent_id AND state = 'collecting' AND held_reason = 'budget'
""")


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What an agent has spent, including limited budgets of its tenant, and what that holds."""

    spendings: list[Spending]
    held_until: datetime | None
    note: str | None


class DueWindow(NamedTuple):
    """A due window, or an invocation due for its retry."""

    id: UUID
    agent_id: UUID
    state: str
    firing_count: int
    opened_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetDecisions:
    """The decisions for due windows of agents with budgets, by window id."""

    close: set[UUID] = field(default_factory=set)
    widened: dict[UUID, datetime] = field(default_factory=dict)
    """To the time at which they are due instead."""
    held: dict[UUID, Spending] = field(default_factory=dict)
    """To the spent budget that frees last."""
    left: int = 0
    """Windows whose limits are being changed, or for whose tenant another scheduler admits."""


def judge(conn: Connection, windows: Sequence[DueWindow], full: Collection[UUID]) -> BudgetDecisions:
    """Decides due windows, longest open first, and writes those that do not close. `full` ones are not widened."""
    accounts = lock_accounts(conn, {window.agent_id for window in windows})
    if accounts is None:
        return BudgetDecisions(left=len(windows))
    known = [window for window in windows if window.agent_id in accounts.agents]
    judged = BudgetDecisions(left=len(windows) - len(known))
    notices: list[Notice] = []
    in_no_hurry = _widenable(conn, known, accounts, full)
    for window in sorted(known, key=lambda each: each.opened_at):
        _decide(judged, window, accounts, may_wait=window.id in in_no_hurry)
        notices += [
            Notice.of(window.agent_id, each, accounts.now)
            for each in accounts.of(window.agent_id)
            if each.is_nearly_spent or (each.is_spent and window.id in judged.held)
        ]
    announce(conn, accounts, notices)
    _write(conn, judged, {window.id: accounts.agents[window.agent_id].zone for window in known})
    return judged


def free_due_windows(conn: Connection) -> None:
    """Makes windows due whose hold is over; closing them checks the budget again."""
    send_along(conn, FREE_DUE)


def free_tenants_windows(conn: Connection, tenant_id: UUID) -> None:
    """Reconsiders the windows of a tenant's agents held or widened for a budget, as its limits or zone changed."""
    if conn.execute(FREE_ALL_OF_TENANT, {"id": tenant_id}).rowcount:
        notify(conn)


def free_agents_window(conn: Connection, agent_id: UUID) -> None:
    """Like `free_tenants_windows`, for an agent's own limits or zone."""
    if conn.execute(FREE_ALL_OF_AGENT, {"id": agent_id}).rowcount:
        notify(conn)


def read_budget(conn: Connection, agent_id: UUID) -> BudgetState:
    """Returns the budget state of an agent. Raises NotFound."""
    accounts = read_accounts(conn, [agent_id])
    if accounts is None:
        raise NotFound(f"There is no agent '{agent_id}'.")
    held = conn.execute(HELD_OF, {"agent_id": agent_id}).one_or_none()
    until, note = (held.held_until, held.held_note) if held else (None, None)
    return BudgetState(accounts.of(agent_id), until, note)


def held_for_nothing(conn: Connection) -> list[UUID]:
    """Returns the windows held for a budget that is not spent (any more)."""
    held = conn.execute(HELD).all()
    accounts = read_accounts(conn, {window.agent_id for window in held}) if held else None
    if accounts is None:
        return [window.id for window in held]
    return [
        window.id
        for window in held
        if window.agent_id not in accounts.agents
        or not any(each.is_spent for each in accounts.of(window.agent_id))
    ]


def _widenable(
    conn: Connection, windows: Iterable[DueWindow], accounts: Accounts, full: Collection[UUID]
) -> set[UUID]:
    """Returns those that could wait: not yet five minutes old, not full, and without an urgent firing."""
    young = {each.id for each in windows if each.id not in full and accounts.now < each.opened_at + WIDENED}
    if not young:
        return young
    return young - set(conn.execute(URGENT, {"ids": list(young)}).scalars())


def _decide(judged: BudgetDecisions, window: DueWindow, accounts: Accounts, *, may_wait: bool) -> None:
    spendings = accounts.of(window.agent_id)
    spent = freed_last(spendings)
    if spent is not None:
        judged.held[window.id] = spent
    elif may_wait and is_in_no_hurry(spendings):
        judged.widened[window.id] = window.opened_at + WIDENED
    else:
        judged.close.add(window.id)
        for each in spendings:
            each.used += each.budget is Budget.INVOCATIONS


def _write(conn: Connection, judged: BudgetDecisions, zones: dict[UUID, str]) -> None:
    if judged.widened:
        values = {
            "ids": uuid_array(judged.widened),
            "due_ats": array(judged.widened.values()),
            "note": WIDENED_NOTE,
        }
        conn.execute(WIDEN, values)
    if judged.held:
        conn.execute(
            HOLD,
            {
                "ids": uuid_array(judged.held),
                "untils": array(each.frees_at for each in judged.held.values()),
                "notes": [each.note(zones[window_id]) for window_id, each in judged.held.items()],
            },
        )
